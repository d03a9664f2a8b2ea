"""Portfolios: the books of creditors, and the policy that is active in each."""
