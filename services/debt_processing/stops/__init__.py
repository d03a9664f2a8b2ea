"""Stops: what is known of debtors that may no longer be processed as sent."""
