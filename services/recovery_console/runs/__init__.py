"""Runs: the list, a new one, one that is worked or over, and its comparison."""
