"""`policies`: checks policy documents and compares them, without a database; and lists, uploads and activates policies.

The latter are calls of the API, which knows the caller by its key.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from recovery_client import risk
from recovery_client.client import RecoveryClient
from recovery_client.errors import ClientError
from recovery_client.shapes import Policy as StoredPolicy
from recovery_core.policies.builtin import UnknownPolicyError
from recovery_core.policies.diff import PolicyDiff, diff_policies
from recovery_core.policies.document import Policy, PolicyError, PolicyRef, load_policy
from recovery_core.policies.lint import lint, problem_findings
from recovery_core.policies.linting.findings import Finding, Findings, Influence, Jurisdiction
from recovery_core.policies.problems import Problem
from risk_assessment.client import client_of
from risk_assessment.policies.registry import load_registry
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import AsJson, aligned, clear_errors, print_json, start_command


class UnknownNameError(LookupError):
    """The API knows no policy of this name that is in force anywhere."""


KNOWN = (PolicyError, UnknownPolicyError, UnknownNameError, ClientError)
FOUND = 1
"""The exit code of `lint` for an error among the findings, or a document that is no policy."""

_FileOrHash = Annotated[str, typer.Argument(help="A file, or the name or hash of a known policy")]


def add_policy_commands(app: typer.Typer) -> None:
    """Add the commands about policies."""
    policies = typer.Typer(no_args_is_help=True, help="Check, compare, upload and activate policies.")
    app.add_typer(policies, name="policies")

    @policies.command("list")
    def list_policies(as_json: AsJson = False) -> None:
        """List the policies that the API knows: built-in ones, those of RISK_POLICY_DIR, and uploads."""
        with _client() as client:
            found = list(client.items(risk.policies()))
        print_json(found) if as_json else _print_lines(_policy_lines(found))

    @policies.command()
    def show(
        name_or_hash: Annotated[str, typer.Argument(help="A name, for its newest version that is no draft; or a hash")],
        as_json: AsJson = False,
    ) -> None:
        """Show a policy of the API with its state and its document."""
        with _client() as client:
            found = client.ask(risk.policy(_hash_of(client, name_or_hash)))
        print_json(found) if as_json else _print_lines(_shown_lines(found))

    @policies.command()
    def upload(file: Annotated[Path, typer.Argument(help="A policy document (JSON)")], as_json: AsJson = False) -> None:
        """Store a policy as a draft. An approver other than you activates it."""
        with _client() as client:
            found = client.ask(risk.upload_policy(file.read_bytes()))
        findings = [Finding.model_validate(finding) for finding in found["findings"]]
        lines = [_policy_line(found), *(line for finding in findings for line in _finding_lines(finding))]
        print_json(found) if as_json else _print_lines(lines)

    @policies.command()
    def activate(
        policy_hash: Annotated[str, typer.Argument(metavar="HASH", help="The hash of the policy")],
        portfolio: Annotated[str, typer.Option(help="Which portfolio it scores from now on")],
        reason: Annotated[str, typer.Option(help="Why; it is kept on record")],
        accept_findings: Annotated[
            list[str] | None, typer.Option(help="Code of an error of the linter that you accept; repeatable")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Let a policy score a portfolio from now on. A job scores its debtors again in the background."""
        with _client() as client:
            accepted = accept_findings or []
            options = {"portfolio": portfolio, "reason": reason, "accept_findings": accepted}
            job = client.ask(risk.activate_policy(policy_hash, **options))
        named = f"{job['policy']['name']} version {job['policy']['version']} is active in {portfolio}"
        print_json(job) if as_json else typer.echo(f"{named}; scoring job {job['id']} {job['state']}")

    @policies.command("lint")
    def lint_policy(
        file_or_hash: _FileOrHash,
        jurisdiction: Annotated[Jurisdiction, typer.Option(help="Whose law applies")] = Jurisdiction.NONE,
        as_json: AsJson = False,
    ) -> None:
        """Show what is forbidden, doubtful or without effect in a policy, and what each factor can change.

        Exits with 1 for an error, or a document that is no policy, else with 0.
        """
        settings = start_command(Settings, PACKAGE)
        with clear_errors(PACKAGE, KNOWN):
            try:
                findings = lint(find_policy(settings, file_or_hash), jurisdiction)
            except PolicyError as error:
                if not names_file(file_or_hash):
                    raise
                _print_invalid(error.problems, jurisdiction, as_json)
                raise typer.Exit(FOUND) from None
            print_json(findings.model_dump()) if as_json else _print_lines(_findings_lines(findings))
        if findings.has_errors:
            raise typer.Exit(FOUND)

    @policies.command()
    def diff(left: _FileOrHash, right: _FileOrHash, as_json: AsJson = False) -> None:
        """Show what differs between two policies, place by place."""
        settings = start_command(Settings, PACKAGE)
        with clear_errors(PACKAGE, KNOWN):
            found = diff_policies(*(_side(settings, side) for side in (left, right)))
            print_json(found.model_dump()) if as_json else _print_lines(_diff_lines(found))


@contextmanager
def _client() -> Iterator[RecoveryClient]:
    settings = start_command(Settings, PACKAGE)
    with clear_errors(PACKAGE, KNOWN):
        yield client_of(settings)


def _is_hash(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _hash_of(client: RecoveryClient, name_or_hash: str) -> str:
    if _is_hash(name_or_hash):
        return name_or_hash
    versions = [one for one in client.items(risk.policies()) if one["name"] == name_or_hash]
    usable = [one for one in versions if one["state"] != "draft"]
    if not usable:
        drafts = "; its drafts are named by their hashes" if versions else ""
        raise UnknownNameError(f"no policy is named {name_or_hash}{drafts}")
    return str(usable[-1]["hash"])


def find_policy(settings: Settings, file_or_hash: str) -> Policy:
    """Return the policy of a file, the installed one of that name or hash, or that of the API.

    Raises PolicyError for a file that is no policy, UnknownPolicyError, ClientError, and OSError for a file that is
    not readable.
    """
    if names_file(file_or_hash):
        return load_policy(Path(file_or_hash).read_bytes())
    try:
        return load_registry(settings.risk_policy, settings.risk_policy_dir).installed(file_or_hash)
    except UnknownPolicyError as unknown:
        return load_policy(_uploaded(settings, file_or_hash, unknown)["document"])


def _uploaded(settings: Settings, name_or_hash: str, unknown: UnknownPolicyError) -> StoredPolicy:
    """Return a policy of the API. Where that is away, a name is only `unknown`: it may be mistyped."""
    client = client_of(settings)
    try:
        return client.ask(risk.policy(_hash_of(client, name_or_hash)))
    except ClientError:
        if _is_hash(name_or_hash):
            raise
        raise unknown from None


def names_file(file_or_hash: str) -> bool:
    """Return whether this is a file or looks like one: neither names nor hashes of policies have slashes or dots."""
    file = Path(file_or_hash)
    return file.is_file() or len(file.parts) > 1 or bool(file.suffix)


def _side(settings: Settings, file_or_hash: str) -> Policy:
    try:
        return find_policy(settings, file_or_hash)
    except PolicyError as error:
        raise PolicyError([Problem(file_or_hash, str(error))]) from error


def _print_invalid(problems: Sequence[Problem], jurisdiction: Jurisdiction, as_json: bool) -> None:
    findings = [finding.model_dump() for finding in problem_findings(problems)]
    listed = [{"place": problem.place, "message": problem.message} for problem in problems]
    content: dict[str, Any] = {
        "policy": None,
        "jurisdiction": jurisdiction,
        "problems": listed,
        "findings": findings,
        "influence": {},
    }
    lines = [f"no valid policy: {_counted(len(problems), 'problem')}", *aligned([p[:2] for p in problems], "<<")]
    print_json(content) if as_json else _print_lines(lines)


def _policy_lines(found: Sequence[StoredPolicy]) -> Iterator[str]:
    rows = [(one["name"], str(one["version"]), one["state"], one["hash"], _where(one)) for one in found]
    yield from aligned([("name", "version", "state", "hash", "portfolios"), *rows], "<><<<")


def _shown_lines(found: StoredPolicy) -> Iterator[str]:
    yield _policy_line(found)
    if found["uploaded_by"]:
        yield f"uploaded by {found['uploaded_by']} at {found['uploaded_at']}"
    yield orjson.dumps(found["document"], option=orjson.OPT_INDENT_2).decode()


def _policy_line(one: StoredPolicy) -> str:
    where = f" in {_where(one)}" if one["portfolios"] else ""
    return f"{one['name']} version {one['version']} ({one['hash']}): {one['state']}{where}"


def _where(one: StoredPolicy) -> str:
    return ", ".join(one["portfolios"])


def _findings_lines(findings: Findings) -> Iterator[str]:
    kinds = [finding.severity for finding in findings.findings]
    counts = ", ".join(_counted(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)) or "no findings"
    yield f"{_named(findings.policy)}, jurisdiction {findings.jurisdiction}: {counts}"
    for finding in findings.findings:
        yield from _finding_lines(finding)
    yield ""
    rows = [_influence_row(name, influence) for name, influence in findings.influence.items()]
    yield from aligned([("factor", "points span", "level flip share", "", "priority percent"), *rows], "<>>>>")


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity:<7}  {finding.code}  {finding.place}"
    yield f"         {finding.message}{f' [{finding.rule}]' if finding.rule else ''}"


def _influence_row(name: str, influence: Influence) -> tuple[str, ...]:
    least, most = influence.level_flip_share_at_least, influence.level_flip_share
    share = most if least is None else f"{least} to {most}"
    percent = _percent(most) if least is None else f"{_percent(least)} to {_percent(most)}"
    rise = "-" if influence.priority_percent is None else f"{influence.priority_percent} %"
    return name, str(influence.points_span), share, percent, rise


def _percent(share: str) -> str:
    return f"{float(100 * Fraction(share)):.1f} %"


def _diff_lines(found: PolicyDiff) -> Iterator[str]:
    yield f"{_named(found.left)} to {_named(found.right)}: {_counted(len(found.changes), 'change')}"
    for change in found.changes:
        yield change.place
        yield f"  - {_value(change.left)}"
        yield f"  + {_value(change.right)}"


def _value(value: Any) -> str:
    return "(absent)" if value is None else orjson.dumps(value).decode()


def _named(policy: PolicyRef) -> str:
    return f"{policy.name} version {policy.version} ({policy.hash[:12]})"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _print_lines(lines: Iterator[str] | Sequence[str]) -> None:
    for line in lines:
        typer.echo(line)
