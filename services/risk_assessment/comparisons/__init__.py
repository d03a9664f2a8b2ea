"""Comparisons: what changed between two runs of a portfolio, debtor by debtor."""
