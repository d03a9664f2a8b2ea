"""Whatever a hold changes is noted for the debt service, for each debtor that it concerns."""

from sqlalchemy import delete, select
from tests.risk_assessment.apis import Api
from tests.risk_assessment.holds.placing import a_hold, a_stored_debtor, placed
from tests.risk_assessment.responses import problem_of, shown

from risk_assessment.tables import stops


def noted(api: Api) -> set[int]:
    """The debtors that the debt service is to hear of."""
    with api.database.read() as connection:
        return set(connection.execute(select(stops.c.debtor_id)).scalars())


def forget_notes(api: Api) -> None:
    with api.database.write() as connection:
        connection.execute(delete(stops))


class TestStops:
    def test_placing_and_ending_a_debtors_hold_is_noted_for_that_debtor(self, api: Api, debtor: int) -> None:
        forget_notes(api)
        hold = placed(api, debtor_id=debtor)
        assert noted(api) == {debtor}

        forget_notes(api)
        shown(api.post(f"/holds/{hold['id']}/end", json={"reason": "Answered"}))
        assert noted(api) == {debtor}

    def test_a_hold_that_was_refused_is_not_noted(self, api: Api, debtor: int) -> None:
        forget_notes(api)

        problem_of(api.post("/holds", json=a_hold(debtor_id=debtor, until="2020-01-01")), 422)

        assert noted(api) == set()

    def test_a_persons_hold_is_noted_for_each_of_its_debtors(self, api: Api, portfolio: str, debtor: int) -> None:
        first = placed(api, portfolio=portfolio, person_ref="P-1")
        same = {a_stored_debtor(api, portfolio, person_ref="P-1") for _ in range(2)}
        a_stored_debtor(api, portfolio, person_ref="P-2")

        for act in (
            lambda: placed(api, portfolio=portfolio, person_ref="P-1"),
            lambda: shown(api.post(f"/holds/{first['id']}/end", json={"reason": "Answered"})),
        ):
            forget_notes(api)
            act()
            assert noted(api) == same
