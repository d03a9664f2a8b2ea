"""The system as it runs: processes, queues and databases together."""
