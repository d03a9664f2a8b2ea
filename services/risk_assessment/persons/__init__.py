"""Persons: who stands behind one or more debtors of a portfolio, known only by a reference."""
