"""The risk service: keeps debtors and their assessments, ranks portfolios and sends them out in batches."""
