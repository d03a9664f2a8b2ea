"""The first page: the portfolio in numbers, and its debtors in the order of their priority."""
