"""`policies`: checks policy documents and compares them. `lint` and `diff` need no database."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from recovery_core.policies.builtin import UnknownPolicyError
from recovery_core.policies.diff import PolicyDiff, diff_policies
from recovery_core.policies.document import Policy, PolicyError, PolicyRef, load_policy
from recovery_core.policies.lint import lint, problem_findings
from recovery_core.policies.linting.findings import Finding, Findings, Influence, Jurisdiction
from recovery_core.policies.problems import Problem
from risk_assessment.policies.registry import load_registry
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import AsJson, clear_errors, print_json, start_command

KNOWN = (PolicyError, UnknownPolicyError)
FOUND = 1
"""The exit code of `lint` for an error among the findings, or a document that is no policy."""

_FileOrHash = Annotated[str, typer.Argument(help="A file, or the name or hash of a known policy")]


def add_policy_commands(app: typer.Typer) -> None:
    """Add the commands about policies."""
    policies = typer.Typer(no_args_is_help=True, help="Check policies and compare them.")
    app.add_typer(policies, name="policies")

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
                if not _names_file(file_or_hash):
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


def find_policy(settings: Settings, file_or_hash: str) -> Policy:
    """Return the policy of a file, or the known one of that name or hash.

    Raises PolicyError for a file that is no policy, UnknownPolicyError, and OSError for a file that is not readable.
    """
    if _names_file(file_or_hash):
        return load_policy(Path(file_or_hash).read_bytes())
    return load_registry(settings.risk_policy, settings.risk_policy_dir).installed(file_or_hash)


def _names_file(file_or_hash: str) -> bool:
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
    lines = [f"no valid policy: {_counted(len(problems), 'problem')}", *_aligned([p[:2] for p in problems], "<<")]
    print_json(content) if as_json else _print_lines(lines)


def _findings_lines(findings: Findings) -> Iterator[str]:
    kinds = [finding.severity for finding in findings.findings]
    counts = ", ".join(_counted(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)) or "no findings"
    yield f"{_named(findings.policy)}, jurisdiction {findings.jurisdiction}: {counts}"
    for finding in findings.findings:
        yield from _finding_lines(finding)
    yield ""
    rows = [_influence_row(name, influence) for name, influence in findings.influence.items()]
    yield from _aligned([("factor", "points span", "level flip share", "", "priority percent"), *rows], "<>>>>")


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


def _aligned(rows: Sequence[Sequence[str]], alignments: str) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, alignments, widths, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()


def _print_lines(lines: Iterator[str] | Sequence[str]) -> None:
    for line in lines:
        typer.echo(line)
