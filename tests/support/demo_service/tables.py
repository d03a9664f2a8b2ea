"""The tables of a tiny service, as its newest migration leaves them."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from service_kit.database.types import table_options

metadata = MetaData()
shelves = Table(
    "shelves", metadata, Column("id", Integer, primary_key=True), Column("label", String(20)), **table_options()
)
books = Table(
    "books",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("shelf_id", ForeignKey("shelves.id", ondelete="CASCADE")),
    **table_options(),
)
