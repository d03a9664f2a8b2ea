"""Policies: the active one as tables, drafts beside it, what differs, what the linter finds, and the activation."""
