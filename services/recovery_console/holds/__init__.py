"""Holds: all of them by kind and by state, as a timeline, one in full with its end, and the import of a file."""
