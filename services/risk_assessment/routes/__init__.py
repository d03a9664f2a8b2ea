"""HTTP doors of the risk service: each translates a request, calls a room, and translates back."""
