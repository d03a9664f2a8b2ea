"""`compare`: a client of the API that shows what changed between two runs."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.commands import Done, run, the_error
from tests.risk_assessment.comparisons.test_routes import add, planned

from recovery_client.errors import RejectedError
from risk_assessment.comparisons.commands import ATTEMPTS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)


def compare(api: Api, *options: object) -> Done:
    return run("compare", *options, RISK_API_URL=api.url)


def test_two_runs_are_compared_in_a_table(api: Api, portfolio: str) -> None:
    rises, pays = add(api, portfolio, total_debt_amount="80.00"), add(api, portfolio, total_debt_amount="70.00")
    earlier = planned(api, portfolio)
    assert api.patch(f"/debtors/{rises}", json={"total_debt_amount": "999999.00"}).is_success
    assert api.patch(f"/debtors/{pays}", json={"payment_status": "PAID"}).is_success
    this = planned(api, portfolio)

    done = compare(api, this, "--with", earlier)

    assert done.code == 0, done.err
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert f"run {this} against {earlier}" in lines
    assert "gone 1 (PAID 1)" in lines
    assert "LOW 0 1 0 0" in lines
    assert f"{rises} moved 1 1 LOW to MEDIUM standard to high" in lines
    assert f"{pays} gone 2 - LOW standard PAID" in lines
    as_json = json.loads(compare(api, this, "--with", earlier, "--json", "--limit", 1).out)
    assert [one["debtor_id"] for one in as_json["items"]] == [rises]
    assert as_json["next_cursor"]
    assert "and more" in compare(api, this, "--with", earlier, "--limit", 1).out
    assert "no such run" in the_error(compare(api, this, "--with", "unheard-of"))


class Busy:
    """An API that is busy for a while: each call is refused with its status, then answered."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)

    def ask(self, _: object) -> dict[str, Any]:
        if self.statuses:
            request = httpx.Request("GET", "http://api/risk-service/runs/a/compare")
            status = self.statuses.pop(0)
            headers = {"Retry-After": "0"} if status == 503 else {}
            raise RejectedError("risk", httpx.Response(status, headers=headers, request=request))
        return {"run_id": "a", "with": "b", "items": []}


def test_a_busy_api_is_asked_again_and_a_refusal_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    for statuses, code in (((503, 503), 0), ((503, 404), 1), ((503,) * 20, 1)):
        api = Busy(*statuses)
        monkeypatch.setattr("risk_assessment.comparisons.commands.client_of", lambda _, api=api: api)

        done = run("compare", "a", "--with", "b", "--json")

        assert done.code == code, done.err
        assert len(api.statuses) == max(0, len(statuses) - ATTEMPTS)
