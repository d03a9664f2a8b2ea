"""Exclusions: the record of who was left out of a run, and why."""
