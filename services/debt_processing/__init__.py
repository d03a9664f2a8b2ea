"""The debt service: works batches of debtors, records one decision or one error for each, and reports on runs."""
