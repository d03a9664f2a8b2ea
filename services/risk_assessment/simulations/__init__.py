"""Simulations: what a policy would change on today's book, before it does."""
