"""Imports of a portfolio from CSV: the mapping, the rows, and what a whole file says of the portfolio."""
