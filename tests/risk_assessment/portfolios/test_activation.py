"""A policy is activated in a portfolio: at once, on record, and only where nothing speaks against it."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, a_profile, a_registry, add_debtor
from tests.risk_assessment.portfolios.activating import activate, activated, score_again, uploaded
from tests.risk_assessment.responses import SCORING_JOB, all_pages, created, fields_of, problem_of, shown

from recovery_core.policies.builtin import built_in_policy
from risk_assessment.tables import policy_activations, scoring_jobs

CLASSIC, STANDARD = built_in_policy("classic"), built_in_policy("standard")


@pytest.fixture
def name() -> str:
    """The name of a policy of this test alone."""
    return f"ours-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def debtor(api: Api, portfolio: str) -> int:
    return add_debtor(api.database, portfolio=portfolio, late_payments_count=4)


def state_of(api: Api, policy: dict[str, Any]) -> tuple[str, list[str]]:
    read = shown(api.get(f"/policies/{policy['hash']}"))
    return read["state"], read["portfolios"]


@pytest.mark.usefixtures("debtor")
class TestActivating:
    def test_an_activated_policy_scores_from_now_on(self, api: Api, portfolio: str, name: str, debtor: int) -> None:
        draft = uploaded(api, name)
        before = shown(api.get(f"/debtors/{debtor}"))

        response = activate(api, draft["hash"], portfolio)

        job = created(response)
        assert set(job) == SCORING_JOB
        assert response.headers["location"] == f"/risk-service/scoring-jobs/{job['id']}"
        assert (job["portfolio"], job["policy"]["hash"], job["state"]) == (portfolio, draft["hash"], "accepted")
        assert shown(api.get(f"/portfolios/{portfolio}"))["active_policy"] == job["policy"]
        assert state_of(api, draft) == ("active", [portfolio])
        # The stored score follows by the job; what is asked for or written now is scored by the new policy.
        assert shown(api.get(f"/debtors/{debtor}"))["assessment"] == before["assessment"]
        assert shown(api.get(f"/debtors/{debtor}/score"))["policy"]["hash"] == draft["hash"]
        written = created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))
        assert written["assessment"]["policy"]["hash"] == draft["hash"]
        asked = {"portfolio": portfolio, "profiles": [a_profile()]}
        assert shown(api.post("/scores", json=asked))["policy"]["hash"] == draft["hash"]
        score_again(api.database, job["id"])
        after = shown(api.get(f"/debtors/{debtor}"))["assessment"]
        assert after["policy"]["hash"] == draft["hash"]
        assert after["total_score"] > before["assessment"]["total_score"]

    def test_every_process_sees_it_at_once(self, api: Api, portfolio: str, name: str) -> None:
        other_process = a_registry()
        with api.database.read() as connection:
            assert other_process.active(connection, portfolio) == STANDARD

        for version in (1, 2):
            draft = uploaded(api, name, version)
            activated(api, draft["hash"], portfolio)

            with api.database.read() as connection:
                assert other_process.active(connection, portfolio).hash == draft["hash"]

    def test_other_portfolios_keep_their_policy(self, api: Api, portfolio: str, name: str) -> None:
        add_debtor(api.database, portfolio=f"{portfolio}-2")

        activated(api, uploaded(api, name)["hash"], portfolio)

        assert shown(api.get(f"/portfolios/{portfolio}-2"))["active_policy"]["hash"] == STANDARD.hash
        assert f"{portfolio}-2" in shown(api.get(f"/policies/{STANDARD.hash}"))["portfolios"]

    def test_a_policy_that_another_one_followed_is_retired_and_may_come_back(
        self, api: Api, portfolio: str, name: str
    ) -> None:
        first, second = uploaded(api, name), uploaded(api, name, 2)
        assert state_of(api, first) == ("draft", [])

        activated(api, first["hash"], portfolio)
        activated(api, second["hash"], portfolio)
        assert (state_of(api, first), state_of(api, second)) == (("retired", []), ("active", [portfolio]))
        activated(api, first["hash"], portfolio)
        activated(api, STANDARD.hash, portfolio)

        assert (state_of(api, first), state_of(api, second)) == (("retired", []), ("retired", []))
        assert portfolio in shown(api.get(f"/policies/{STANDARD.hash}"))["portfolios"]

    def test_every_activation_is_kept_with_who_and_why(self, api: Api, portfolio: str, name: str) -> None:
        created_at = shown(api.get(f"/portfolios/{portfolio}"))["created_at"]
        began = {
            "policy": STANDARD.ref.model_dump(),
            "activated_at": created_at,
            "activated_by": "settings:RISK_POLICY",
            "reason": "the policy of RISK_POLICY, with which the portfolio began",
            "accepted_findings": [],
        }
        path = f"/portfolios/{portfolio}/activations"
        assert shown(api.get(path))["items"] == [began]

        hashes = [uploaded(api, name, version)["hash"] for version in (1, 2)]
        for policy_hash in (*hashes, hashes[0]):
            activated(api, policy_hash, portfolio, reason=f"For {policy_hash[:4]}")

        found = all_pages(api, path, limit=1)
        assert found[-1] == began
        assert [(one["policy"]["hash"], one["reason"], one["activated_by"]) for one in found[:-1]] == [
            (policy_hash, f"For {policy_hash[:4]}", "anonymous") for policy_hash in (hashes[0], hashes[1], hashes[0])
        ]

    def test_a_repeated_request_activates_once(self, api: Api, portfolio: str, name: str) -> None:
        draft, headers = uploaded(api, name), {"Idempotency-Key": name}
        path, body = f"/policies/{draft['hash']}/activate", {"portfolio": portfolio, "reason": "Approved"}

        jobs = [created(api.post(path, json=body, headers=headers)) for _ in range(3)]

        assert jobs[0] == jobs[1] == jobs[2]
        assert len(all_pages(api, f"/portfolios/{portfolio}/activations")) == 2

    def test_of_activations_at_once_the_last_on_record_is_active(self, api: Api, portfolio: str, name: str) -> None:
        hashes = [uploaded(api, name, version)["hash"] for version in range(1, 7)]

        with ThreadPoolExecutor(len(hashes)) as pool:
            jobs = list(pool.map(lambda policy_hash: activated(api, policy_hash, portfolio), hashes))

        newest, *others = all_pages(api, f"/portfolios/{portfolio}/activations")
        assert shown(api.get(f"/portfolios/{portfolio}"))["active_policy"] == newest["policy"]
        assert len(others) == len(hashes)
        assert {job["policy"]["hash"] for job in jobs} == set(hashes)


class TestRefusing:
    def test_errors_under_the_portfolios_jurisdiction_are_shown_and_may_be_accepted(
        self, api: Api, portfolio: str
    ) -> None:
        created(api.put(f"/portfolios/{portfolio}", json={"jurisdiction": "US"}))

        refused = problem_of(activate(api, CLASSIC.hash, portfolio), 409)

        assert [finding["code"] for finding in refused["findings"]] == ["FACTOR_PROHIBITED"]
        assert refused["findings"][0]["place"] == "factors.family_situation"
        assert refused["findings"][0]["severity"] == "error"
        problem_of(activate(api, CLASSIC.hash, portfolio, accept_findings=["VALUE_DOUBTFUL"]), 409)
        activated(api, CLASSIC.hash, portfolio, accept_findings=["FACTOR_PROHIBITED"])
        newest = shown(api.get(f"/portfolios/{portfolio}/activations"))["items"][0]
        assert newest["accepted_findings"] == ["FACTOR_PROHIBITED"]

    def test_where_no_rule_forbids_it_nothing_need_be_accepted(self, api: Api, portfolio: str) -> None:
        for jurisdiction in ("none", "UK"):
            api.put(f"/portfolios/{portfolio}", json={"jurisdiction": jurisdiction})

            activated(api, CLASSIC.hash, portfolio)

    def test_debtors_who_lack_a_field_of_the_policy_are_counted(self, api: Api, portfolio: str, debtor: int) -> None:
        add_debtor(api.database, portfolio=portfolio)
        add_debtor(api.database, portfolio=portfolio, family_situation="WIDOWED_WITH_DEPENDENTS")

        refused = problem_of(activate(api, CLASSIC.hash, portfolio), 409)

        assert refused["debtors"] == 2
        assert "2 debtors" in refused["detail"]
        assert "family_situation" in refused["detail"]
        assert shown(api.get(f"/portfolios/{portfolio}"))["active_policy"]["hash"] == STANDARD.hash
        assert shown(api.get(f"/debtors/{debtor}/score"))["policy"]["hash"] == STANDARD.hash

    @pytest.mark.usefixtures("debtor")
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"reason": ""}, "reason"),
            ({"reason": None}, "reason"),
            ({"reason": " \t"}, "reason"),
            ({"portfolio": "a b"}, "portfolio"),
            ({"accept_findings": ["NO_SUCH_CODE"]}, "accept_findings.0"),
            ({"accept_findings": "FACTOR_PROHIBITED"}, "accept_findings"),
            ({"surprise": 1}, "surprise"),
        ],
        ids=str,
    )
    def test_a_bad_request_is_refused_by_name(
        self, api: Api, portfolio: str, changes: dict[str, Any], field: str
    ) -> None:
        assert fields_of(activate(api, CLASSIC.hash, **{"portfolio": portfolio} | changes), 422) == [field]

    def test_what_does_not_exist_is_not_found(self, api: Api, portfolio: str) -> None:
        assert fields_of(activate(api, CLASSIC.hash, portfolio), 404) == ["portfolio"]
        created(api.put(f"/portfolios/{portfolio}", json={}))
        problem_of(activate(api, "0" * 64, portfolio), 404)

    def test_a_refused_activation_changes_nothing(self, api: Api, portfolio: str, debtor: int) -> None:
        def counted() -> list[int]:
            with api.database.read() as connection:
                counts = [select(func.count()).select_from(table) for table in (policy_activations, scoring_jobs)]
                return [connection.execute(count).scalar_one() for count in counts]

        before = counted()

        problem_of(activate(api, CLASSIC.hash, portfolio), 409)

        assert counted() == before


class TestChoosing:
    """`policy` of runs, previews, scoring jobs and scores."""

    def test_a_draft_may_score_profiles_and_no_portfolio(
        self, api: Api, portfolio: str, name: str, debtor: int
    ) -> None:
        draft = uploaded(api, name)

        for policy in (name, draft["hash"]):
            for path in ("/runs", "/scoring-jobs"):
                assert fields_of(api.post(path, json={"portfolio": portfolio, "policy": policy}), 422) == ["policy"]
            options = {"portfolio": portfolio, "policy": policy}
            assert fields_of(api.get("/runs/preview", params=options), 422) == ["policy"]
        profiles = {"profiles": [a_profile()]}
        scored = shown(api.post("/scores", json=profiles | {"policy": draft["hash"]}))
        assert scored["policy"]["hash"] == draft["hash"]
        assert fields_of(api.post("/scores", json=profiles | {"policy": name}), 422) == ["policy"]

    @pytest.mark.usefixtures("debtor")
    def test_what_was_active_here_may_be_named_here_and_nowhere_else(self, api: Api, portfolio: str, name: str) -> None:
        add_debtor(api.database, portfolio=f"{portfolio}-2")
        first, second = uploaded(api, name), uploaded(api, name, 2)
        for policy in (first, second):
            activated(api, policy["hash"], portfolio)
        activated(api, STANDARD.hash, portfolio)

        def chosen(policy: str) -> str:
            return str(created(api.post("/runs", json={"portfolio": portfolio, "policy": policy}))["policy"]["hash"])

        assert chosen(name) == second["hash"]
        assert chosen(first["hash"]) == first["hash"]
        assert chosen(CLASSIC.hash) == CLASSIC.hash
        options = {"portfolio": portfolio, "policy": first["hash"]}
        assert shown(api.get("/runs/preview", params=options))["policy"]["hash"] == first["hash"]
        elsewhere = {"portfolio": f"{portfolio}-2", "policy": second["hash"]}
        assert fields_of(api.post("/runs", json=elsewhere), 422) == ["policy"]
        scored = shown(api.post("/scores", json={"policy": name, "profiles": [a_profile()]}))
        assert scored["policy"]["hash"] == second["hash"]

    @pytest.mark.parametrize("portfolio", ["nowhere", "a b"])
    def test_scores_of_an_unknown_portfolio_are_refused(self, api: Api, portfolio: str) -> None:
        asked = {"portfolio": portfolio, "profiles": [a_profile()]}

        assert fields_of(api.post("/scores", json=asked), 404, 422) == ["portfolio"]
