"""Snapshots: what a run looked at, so that it can be explained and replayed whatever became of the debtors."""
