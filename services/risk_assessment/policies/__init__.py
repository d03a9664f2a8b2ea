"""Policies: the documents that score, and the one that is active in a portfolio."""
