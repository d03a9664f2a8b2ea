"""Debtors: one account in recovery each, with its profile, its current assessment and its history."""
