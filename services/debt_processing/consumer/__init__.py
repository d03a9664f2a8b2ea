"""The consumer: from a message to a recorded batch, and the report on it."""
