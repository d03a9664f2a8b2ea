"""Stops: the feed that says to the debt service which debtors may no longer be processed as sent."""
