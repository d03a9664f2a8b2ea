"""Batches: the inbox of the debt service."""
