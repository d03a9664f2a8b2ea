"""`policies list`, `show`, `upload` and `activate`: calls of the API with the key of the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment.apis import Api, serving
from tests.risk_assessment.builders import add_debtor
from tests.risk_assessment.commands import Done, run, the_error
from tests.risk_assessment.policies.documents import a_document, a_policy, harsher
from tests.risk_assessment.responses import shown
from tests.support.processes import free_port

from recovery_core.policies.builtin import built_in_policy
from risk_assessment.tables import api_keys, audit_records
from service_kit.audit import Audit, Caller
from service_kit.auth import keys
from service_kit.clock import utc_now

CLASSIC, STANDARD = built_in_policy("classic"), built_in_policy("standard")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.fixture(scope="module")
def risk(module_folder: Path, migrated_sqlite_file: Path, sqs_url: str) -> Iterator[Api]:
    """An API that knows its callers, with a debtor in each of two portfolios."""
    file = module_folder / "risk.db"
    file.write_bytes(migrated_sqlite_file.read_bytes())
    with serving(module_folder, f"sqlite:///{file}", sqs_url, RECOVERY_AUTH="keys") as api:
        for portfolio in ("default", "us-cards"):
            add_debtor(api.database, portfolio=portfolio, family_situation="MARRIED_DUAL_INCOME")
        yield api


@pytest.fixture(scope="module")
def tokens(risk: Api) -> dict[str, str]:
    setup, given = Audit(audit_records, Caller("cli:test"), utc_now()), {}
    for name, role in (("author", "operator"), ("first", "approver"), ("second", "approver")):
        given[name] = keys.new_token()
        keys.issue(risk.database, api_keys, setup, name, role, given[name])
    return given


def policies(risk: Api, token: str, *arguments: object) -> Done:
    return run("policies", *arguments, RISK_API_URL=f"{risk.url}/", RECOVERY_API_KEY=token)


def as_json(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def a_file(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / f"{document['name']}-{document['version']}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_the_life_of_a_policy_at_the_command_line(risk: Api, tokens: dict[str, str], folder: Path) -> None:
    file, policy = a_file(folder, harsher(a_document("ours"))), harsher(a_document("ours"))

    done = policies(risk, tokens["first"], "upload", file)
    assert done.code == 0
    line, *findings = done.out.splitlines()
    assert line.startswith("ours version 1 (")
    assert line.endswith("): draft")
    assert "TREATMENT_ROW_UNREACHABLE" in "".join(findings)
    draft = as_json(policies(risk, tokens["author"], "upload", file, "--json"))
    assert draft["uploaded_by"] == "key:first"

    reason = ("--portfolio", "default", "--reason", "Approved in the meeting")
    assert "403" in the_error(policies(risk, tokens["author"], "activate", draft["hash"], *reason))
    assert "you uploaded this policy" in the_error(policies(risk, tokens["first"], "activate", draft["hash"], *reason))
    drafts = the_error(policies(risk, tokens["author"], "show", "ours"))
    assert drafts == "no policy is named ours; its drafts are named by their hashes"
    done = policies(risk, tokens["second"], "activate", draft["hash"], *reason)
    assert done.out.startswith("ours version 1 is active in default; scoring job ")

    read = as_json(policies(risk, tokens["author"], "show", "ours", "--json"))
    assert (read["hash"], read["state"], read["document"]) == (draft["hash"], "active", policy)
    [newest, _] = shown(
        risk.get("/portfolios/default/activations", headers={"Authorization": f"Bearer {tokens['first']}"})
    )["items"]
    assert (newest["activated_by"], newest["reason"]) == ("key:second", "Approved in the meeting")


def test_errors_of_the_linter_are_accepted_by_their_code(risk: Api, tokens: dict[str, str]) -> None:
    risk.put(
        "/portfolios/us-cards", json={"jurisdiction": "US"}, headers={"Authorization": f"Bearer {tokens['first']}"}
    )
    activation = ("activate", CLASSIC.hash, "--portfolio", "us-cards", "--reason", "Counsel agreed")

    refused = the_error(policies(risk, tokens["first"], *activation))

    assert "409" in refused
    assert refused.endswith("; FACTOR_PROHIBITED at factors.family_situation")
    accepted = (*activation, "--accept-findings", "FACTOR_PROHIBITED", "--json")
    assert as_json(policies(risk, tokens["first"], *accepted))["policy"]["name"] == "classic"


def test_the_list_and_a_policy_are_readable(risk: Api, tokens: dict[str, str]) -> None:
    listed = policies(risk, tokens["author"], "list").out.splitlines()

    assert listed[0].split() == ["name", "version", "state", "hash", "portfolios"]
    assert any(line.split()[:1] == ["standard"] and STANDARD.hash in line for line in listed)
    assert [one["name"] for one in as_json(policies(risk, tokens["author"], "list", "--json"))] == [
        line.split()[0] for line in listed[1:]
    ]
    read = policies(risk, tokens["author"], "show", STANDARD.hash).out
    assert read.startswith(f"standard version 1 ({STANDARD.hash}): ")
    assert json.loads(read.split("\n", 1)[1]) == STANDARD.document


def test_an_upload_is_linted_and_compared_by_its_hash(risk: Api, tokens: dict[str, str], folder: Path) -> None:
    draft = a_policy("theirs", description="Another one")
    policies(risk, tokens["author"], "upload", a_file(folder, draft.document))

    linted = policies(risk, tokens["author"], "lint", draft.hash)
    compared = policies(risk, tokens["author"], "diff", "standard", draft.hash)

    assert (linted.code, compared.code) == (0, 0)
    assert linted.out.startswith("theirs version 1 (")
    assert compared.out.splitlines()[1] == "name"


def test_what_cannot_be_done_is_one_clear_line(risk: Api, tokens: dict[str, str], folder: Path) -> None:
    broken = a_file(folder, a_document("broken", max_points=0))
    error = the_error(policies(risk, tokens["author"], "upload", broken))
    assert "422" in error
    assert "max_points" in error
    assert "404" in the_error(policies(risk, tokens["author"], "show", "0" * 64))
    assert the_error(policies(risk, tokens["author"], "show", "nobodys")) == "no policy is named nobodys"
    assert "nowhere.json" in the_error(policies(risk, tokens["author"], "upload", "nowhere.json"))
    away = f"http://127.0.0.1:{free_port()}"
    assert the_error(run("policies", "list", RISK_API_URL=away)).startswith(f"cannot reach {away}")
