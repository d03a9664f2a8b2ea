"""Reports: what a lead looks at first in a portfolio, and where one debtor stands in it."""
