"""Policies over HTTP: uploaded as drafts, listed, read, linted and compared."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.policies.documents import a_document, a_policy, harsher
from tests.risk_assessment.responses import all_pages, created, fields_of, problem_of, shown

from recovery_core.policies.builtin import built_in_policy, built_in_versions
from recovery_core.policies.document import canonical_json
from risk_assessment.tables import policies

POLICY = {"name", "version", "hash", "state", "portfolios", "uploaded_by", "uploaded_at"}
STANDARD = built_in_policy("standard")


@pytest.fixture
def name() -> str:
    """The name of a policy of this test alone."""
    return f"ours-{uuid.uuid4().hex[:12]}"


class TestUpload:
    def test_a_document_becomes_a_draft_with_findings(self, api: Api, name: str) -> None:
        document = a_document(name, like="classic")

        response = api.post("/policies", json=document)

        draft = created(response)
        assert set(draft) == POLICY | {"findings"}
        assert (draft["state"], draft["portfolios"], draft["uploaded_by"]) == ("draft", [], "anonymous")
        assert draft["hash"] == a_policy(name, like="classic").hash
        assert response.headers["location"] == f"/risk-service/policies/{draft['hash']}"
        assert {finding["severity"] for finding in draft["findings"]} <= {"warning", "note"}
        read = shown(api.get(f"/policies/{draft['hash']}"))
        assert read["document"] == document
        assert {field: read[field] for field in POLICY} == {field: draft[field] for field in POLICY}

    def test_the_same_document_again_is_the_one_that_is_there(self, api: Api, name: str) -> None:
        document = a_document(name)
        first = created(api.post("/policies", json=document))

        again = api.post("/policies", json=dict(reversed(document.items())))

        assert shown(again) == first
        assert again.headers["location"].endswith(first["hash"])

    def test_a_built_in_document_is_there_already(self, api: Api) -> None:
        again = shown(api.post("/policies", json=STANDARD.document))

        assert (again["hash"], again["uploaded_by"]) == (STANDARD.hash, None)

    def test_another_content_under_one_name_and_version_is_refused(self, api: Api, name: str) -> None:
        created(api.post("/policies", json=a_document(name)))

        problem_of(api.post("/policies", json=harsher(a_document(name))), 409)
        problem_of(api.post("/policies", json=harsher(STANDARD.document)), 409)
        created(api.post("/policies", json=harsher(a_document(name, version=2))))

    def test_of_many_uploads_at_once_one_counts(self, api: Api, name: str) -> None:
        documents = [a_document(name, description=f"Number {number}") for number in range(4)] * 2

        with ThreadPoolExecutor(len(documents)) as pool:
            responses = list(pool.map(lambda document: api.post("/policies", json=document), documents))

        assert sorted(response.status_code for response in responses) == [200, 201, 409, 409, 409, 409, 409, 409]

    @pytest.mark.usefixtures("nothing_written")
    def test_every_place_that_is_wrong_is_named_at_once(self, api: Api, name: str) -> None:
        document = harsher(a_document(name)) | {"surprise": 1, "objective": "most_profit"}
        document["factors"]["payment_history"]["bands"][1]["points"] = -1
        del document["factors"]["employment_status"]["points"]["RETIRED"]
        document["levels"][0]["up_to_percent"] = 99

        assert set(fields_of(api.post("/policies", json=document), 422)) >= {
            "surprise",
            "objective",
            "factors.payment_history.bands.1.points",
            "factors.employment_status.points.RETIRED",
            "levels.1",
        }

    @pytest.mark.parametrize("body", [[], 5, "standard", None])
    def test_what_is_no_object_is_no_policy(self, api: Api, body: Any) -> None:
        assert fields_of(api.post("/policies", json=body), 422) == ["body"]

    def test_of_very_many_places_the_first_are_named_and_all_counted(self, api: Api, name: str) -> None:
        points = {f"KIND_{number}": -1 for number in range(80)}
        document = a_document(name)
        document["factors"]["industry_sector"]["points"] |= points

        problem = problem_of(api.post("/policies", json=document), 422)

        assert len(problem["errors"]) == 50
        assert problem["errors_total"] >= 80


class TestReading:
    def test_the_list_has_built_in_policies_and_uploads_by_name_and_version(self, api: Api, name: str) -> None:
        hashes = [created(api.post("/policies", json=a_document(name, version)))["hash"] for version in (2, 10, 1)]

        listed = all_pages(api, "/policies", limit=3)

        assert all(set(one) == POLICY for one in listed)
        keys = [(one["name"], one["version"], one["hash"]) for one in listed]
        assert keys == sorted(set(keys))
        assert {*hashes, *built_in_versions()} <= {one["hash"] for one in listed}
        assert [one["version"] for one in listed if one["name"] == name] == [1, 2, 10]
        assert listed == all_pages(api, "/policies")

    def test_a_built_in_policy_that_is_active_nowhere_says_so(self, api: Api) -> None:
        read = shown(api.get(f"/policies/{built_in_policy('classic').hash}"))

        assert (read["uploaded_by"], read["uploaded_at"]) == (None, None)
        assert read["state"] == ("active" if read["portfolios"] else "built-in")

    def test_a_policy_that_the_installation_no_longer_has_is_retired(self, api: Api, name: str) -> None:
        gone = a_policy(name)
        row = {"name": name, "version": 1, "hash": gone.hash, "created_at": NOON}
        with api.database.write() as connection:
            connection.execute(insert(policies).values(document=canonical_json(gone.document).decode(), **row))

        assert shown(api.get(f"/policies/{gone.hash}"))["state"] == "retired"

    @pytest.mark.parametrize("path", ["", "/findings", f"/diff/{STANDARD.hash}"])
    def test_what_is_not_there_is_not_found(self, api: Api, path: str) -> None:
        problem_of(api.get(f"/policies/{'0' * 64}{path}"), 404)

    def test_findings_depend_on_the_jurisdiction(self, api: Api) -> None:
        path = f"/policies/{built_in_policy('classic').hash}/findings"

        us, none = (shown(api.get(path, params=params)) for params in ({"jurisdiction": "US"}, {}))

        assert set(us) == {"policy", "jurisdiction", "findings", "influence"}
        assert (us["jurisdiction"], none["jurisdiction"]) == ("US", "none")
        assert us["findings"][0]["code"] == "FACTOR_PROHIBITED"
        assert set(us["findings"][0]) == {"code", "severity", "place", "message", "rule"}
        assert "FACTOR_PROHIBITED" not in {finding["code"] for finding in none["findings"]}
        assert {"points_span", "level_flip_share", "priority_percent"} <= set(us["influence"]["family_situation"])
        assert fields_of(api.get(path, params={"jurisdiction": "Mars"}), 422) == ["jurisdiction"]

    def test_what_differs_between_two_policies_is_listed_place_by_place(self, api: Api, name: str) -> None:
        document = harsher(STANDARD.document) | {"name": name}
        ours = created(api.post("/policies", json=document))

        compared = shown(api.get(f"/policies/{STANDARD.hash}/diff/{ours['hash']}"))

        assert (compared["left"]["hash"], compared["right"]["hash"]) == (STANDARD.hash, ours["hash"])
        assert compared["changes"] == [
            {"place": "name", "left": "standard", "right": name},
            {"place": "factors.payment_history.weight", "left": 9, "right": 27},
        ]
