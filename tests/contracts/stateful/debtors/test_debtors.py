"""Debtors over HTTP against a model in memory: whatever is created, changed, repeated or deleted, both agree.

FUZZ_EFFORT=20 tries twenty times as much.
"""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.contracts.conftest import EFFORT
from tests.contracts.in_process import calling
from tests.contracts.stateful.debtors.debtor_machine import DebtorMachine

from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade


@pytest.mark.timeout(120 + 300 * EFFORT.factor)
@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 25), ("mariadb", 5)])
def test_debtors_are_what_their_model_says(
    kind: str, examples: int, request: pytest.FixtureRequest, aws_environment: None
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    upgrade(url, "risk_assessment")
    database = Database(url)
    with calling(url) as call:
        machine = type("Debtors", (DebtorMachine,), {"call": call, "database": database})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=EFFORT.examples(examples), stateful_step_count=30)
        )
    database.dispose()
