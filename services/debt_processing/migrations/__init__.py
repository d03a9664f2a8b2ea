"""The revisions of the schema, and the table that shows to which service a database belongs."""

OWN_TABLE = "decisions"
"""In this service's database from the first revision on, and in no other's."""
