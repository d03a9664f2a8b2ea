"""Decisions and errors: what was concluded for each debtor."""
