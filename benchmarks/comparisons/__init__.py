"""The same work done in other ways: by the bare machine, by the simplest code, by task queues of others."""
