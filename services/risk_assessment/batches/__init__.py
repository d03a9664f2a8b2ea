"""Batches: the outbox of the risk service."""
