"""Scoring: of profiles that are not stored, and of whole portfolios in the background."""
