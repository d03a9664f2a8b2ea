"""Runs: what came of each."""
