"""The HTTP door: each route takes validated input, makes one call, and shows the outcome."""
