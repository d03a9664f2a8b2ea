"""Evidence: why a run put a debtor where it did, what the run was made of, and the proof that it can be repeated."""
