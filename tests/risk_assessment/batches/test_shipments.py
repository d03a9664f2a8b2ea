"""Messages are built from rows that never change."""

from hashlib import sha256

from tests.risk_assessment.batches.outbox import a_cut_run
from tests.risk_assessment.builders import a_registry
from tests.risk_assessment.planned import bodies_of, keys_of

from risk_assessment.batches.shipments import build_shipment, rebuilt_digests
from service_kit.database.engine import Database


def test_a_message_is_the_same_bytes_however_it_is_asked_for(filled: Database) -> None:
    run_id = a_cut_run(filled)
    other = a_cut_run(filled)
    keys = keys_of(filled, run_id) + keys_of(filled, other)

    with filled.read() as connection:
        together = build_shipment(connection, keys[::-1], a_registry()).bodies
        alone = {key: build_shipment(connection, [key], a_registry()).bodies[key] for key in keys}

    assert together == alone
    assert {key.sequence: alone[key] for key in keys_of(filled, run_id)} == bodies_of(filled, run_id)


def test_a_message_built_once_more_has_the_digest_that_it_was_sent_with(filled: Database) -> None:
    run_id = a_cut_run(filled)
    keys, sent = keys_of(filled, run_id), bodies_of(filled, run_id)

    with filled.read() as connection:
        digests = rebuilt_digests(connection, keys, a_registry())

    assert digests == {key: sha256(sent[key.sequence].encode()).hexdigest() for key in keys}
    assert len(set(digests.values())) == len(keys)
