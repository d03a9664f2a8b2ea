"""What became of the debtors of a run, and why one was not worked."""
