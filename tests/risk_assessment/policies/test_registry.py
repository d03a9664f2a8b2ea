"""The registry knows the policies by name, which one is active, and the rows that refer to them."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from tests.risk_assessment.builders import NOON, a_registry

from recovery_core.policies.builtin import UnknownPolicyError, built_in_policies, built_in_policy
from recovery_core.policies.document import Policy, PolicyError, load_policy
from risk_assessment.policies.registry import load_registry
from risk_assessment.policies.tables import policies
from risk_assessment.tables import portfolios
from service_kit.database.engine import Database


def a_policy(name: str, version: int = 1) -> Policy:
    return load_policy(dict(built_in_policy("standard").document) | {"name": name, "version": version})


@pytest.mark.parametrize("default", sorted(built_in_policies()))
@pytest.mark.parametrize("portfolio", ["default", "other"])
def test_the_default_policy_is_active_in_every_portfolio(sqlite: Database, default: str, portfolio: str) -> None:
    registry = a_registry(default)

    with sqlite.read() as connection:
        assert registry.active(connection, portfolio) == built_in_policy(default)
        assert registry.chosen(connection, None, portfolio) is registry.active(connection, portfolio)


def test_a_policy_is_chosen_by_its_name_or_hash(sqlite: Database) -> None:
    ours = a_policy("ours")
    registry = a_registry("standard", ours)

    with sqlite.read() as connection:
        for given, wanted in (("ours", ours), (ours.hash, ours), ("classic", built_in_policy("classic"))):
            assert registry.chosen(connection, given, "default") == registry.named(connection, given) == wanted
            assert registry.installed(given) == wanted
        assert registry.active(connection, "default") == built_in_policy("standard")


@pytest.mark.parametrize("name", ["", "Standard", "no-such-policy", "0" * 64])
def test_an_unknown_policy_is_refused_with_the_known_ones(sqlite: Database, name: str) -> None:
    registry = a_registry("standard", a_policy("ours"))

    with sqlite.read() as connection:
        for choose in (
            lambda: registry.named(connection, name),
            lambda: registry.chosen(connection, name, "default"),
            lambda: registry.installed(name),
        ):
            with pytest.raises(UnknownPolicyError, match=r"classic.*ours.*standard"):
                choose()
    with pytest.raises(UnknownPolicyError):
        a_registry(name)


def test_the_policy_that_scores_a_new_portfolio_is_that_of_its_new_row(database: Database) -> None:
    registry = a_registry("classic")

    first = database.transact(lambda c: registry.active_scorer(c, "new", NOON))
    again = database.transact(lambda c: a_registry("classic").active_scorer(c, "new", NOON))

    assert first.policy_id == again.policy_id
    assert first.scorer.policy == again.scorer.policy == built_in_policy("classic")
    with database.read() as connection:
        [row] = connection.execute(select(portfolios)).all()
    assert row[:6] == ("new", None, "UTC", "none", "{}", None)


def test_a_policy_gets_one_row_when_it_is_first_used(database: Database) -> None:
    registry, other = a_registry(), a_registry()
    policy = built_in_policy("standard")
    with database.read() as connection:
        assert registry.find_id(connection, policy) is None

    ids = {database.transact(lambda c, r=r: r.register(c, policy, NOON)) for r in (registry, registry, other)}

    with database.read() as connection:
        assert {registry.find_id(connection, policy), other.find_id(connection, policy)} == ids
        assert connection.execute(select(func.count()).select_from(policies)).scalar_one() == 1


def test_another_version_under_the_same_name_gets_a_row_of_its_own(sqlite: Database) -> None:
    ids = [
        sqlite.transact(lambda c, policy=policy: a_registry("standard", policy).register(c, policy, NOON))
        for policy in (a_policy("ours"), a_policy("ours", version=2))
    ]

    assert len(set(ids)) == 2
    with sqlite.read() as connection:
        assert [a_registry().scorer(connection, one).policy.version for one in ids] == [1, 2]


def test_a_scorer_is_not_remembered_for_a_policy_whose_row_was_rolled_back(database: Database) -> None:
    registry = a_registry()

    def use_and_fail(connection: Connection) -> None:
        lost = registry.register(connection, built_in_policy("classic"), NOON)
        assert registry.scorer(connection, lost).policy.name == "classic"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.transact(use_and_fail)
    with database.write() as connection:
        kept = registry.register(connection, built_in_policy("standard"), NOON)
        assert registry.scorer(connection, kept).policy.name == "standard"
    with database.read() as connection:
        assert registry.find_id(connection, built_in_policy("classic")) is None
        assert registry.find_id(connection, built_in_policy("standard")) == kept
        assert registry.scorer(connection, kept).policy.name == "standard"


def test_a_number_is_not_remembered_for_a_policy_that_one_transaction_used_twice(database: Database) -> None:
    registry, classic = a_registry(), built_in_policy("classic")

    def use_twice_and_fail(connection: Connection) -> None:
        assert registry.register(connection, classic, NOON) == registry.register(connection, classic, NOON)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.transact(use_twice_and_fail)

    with database.read() as connection:
        assert registry.find_id(connection, classic) is None


def put(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content)
    return folder


def document(name: str) -> str:
    return json.dumps(dict(built_in_policy("standard").document) | {"name": name})


def test_policies_of_a_folder_are_known_beside_the_built_in_ones(tmp_path: Path) -> None:
    put(tmp_path, "ours.json", document("ours"))
    put(tmp_path, "README.md", "Not a policy.")

    registry = load_registry("ours", tmp_path)

    assert registry.installation.default == a_policy("ours")
    assert {registry.installed(name).name for name in ("ours", *built_in_policies())} == {"ours", *built_in_policies()}


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{", "ours.json"), ("[]", "ours.json"), (document("standard"), "a policy named 'standard' is already known")],
)
def test_a_document_that_cannot_be_used_is_named(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        load_registry("standard", put(tmp_path, "ours.json", content))


def test_two_documents_under_one_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.json", document("ours"))

    with pytest.raises(PolicyError, match=r"b\.json: a policy named 'ours' is already known"):
        load_registry("standard", put(tmp_path, "b.json", document("ours")))


def test_a_folder_that_is_missing_and_an_unknown_default_are_named_by_their_settings(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="RISK_POLICY_DIR"):
        load_registry("standard", tmp_path / "nowhere")
    with pytest.raises(PolicyError, match=r"RISK_POLICY: .*no-such-policy"):
        load_registry("no-such-policy", None)
