"""Previews: what a run would do now, counted and shown, without a run."""
