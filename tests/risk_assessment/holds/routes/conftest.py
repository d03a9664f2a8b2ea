"""A debtor of the test alone, to place holds on."""

import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.holds.placing import a_stored_debtor


@pytest.fixture
def debtor(api: Api, portfolio: str) -> int:
    return a_stored_debtor(api, portfolio, external_ref="ACC-1")
