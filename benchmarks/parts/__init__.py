"""One part at a time: a step of the way, a structure, a query, a migration."""
