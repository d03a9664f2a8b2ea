"""The order of work, in which a run is paged and exported: batch by batch, position by position."""

from sqlalchemy import ColumnElement, Table, and_, or_

from service_kit.pages import decode_cursor

Place = tuple[int, int]
"""Batch sequence and position of the row shown last."""
START: Place = (0, -1)


def place_of(cursor: str | None) -> Place:
    """The place that a cursor stands for. Raises BadCursor."""
    if cursor is None:
        return START
    sequence, position = decode_cursor(cursor, [int, int])
    return int(sequence), int(position)


def after(table: Table, place: Place) -> ColumnElement[bool]:
    """The rows behind a place, said so that both databases walk the primary key from there."""
    sequence, position = place
    return and_(
        table.c.batch_sequence >= sequence,
        or_(table.c.batch_sequence > sequence, table.c.position > position),
    )
