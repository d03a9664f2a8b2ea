"""Simulations: who would move under another policy, before it is activated."""
