"""Queues and dead letters: what waits, what failed, and sending it back."""
