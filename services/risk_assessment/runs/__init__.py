"""Runs: one prioritization of a portfolio each, from the promise to the last report."""
