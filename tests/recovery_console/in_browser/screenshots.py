"""`make screenshots`: the images of docs/console.md, from a real system with invented debtors, light and dark."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect
from tests.recovery_console.in_browser.chromium import chromium, opened_tab
from tests.support.processes import eventually, free_port, repository, start, stop

from recovery_core.policies.builtin import built_in_policy

FOLDER = repository() / "docs/images/console"
DEBTORS = 5_000
SIZE = {"width": 1_120, "height": 720}
NOT_OURS = ("RISK_", "DEBT_", "RECOVERY_", "CONSOLE_", "AWS_")
HOLDS = (
    ("DISPUTE", "2026-01-05", None, "The amount is contested in a letter"),
    ("BANKRUPTCY", "2026-02-01", None, "Notice of the court"),
    ("PROMISE_TO_PAY", "2026-01-01", "2099-12-31", "Pays at the end of the month"),
    ("VULNERABLE", "2026-03-01", None, "Support worker has called"),
    ("TIME_BARRED", "2026-01-01", None, "Last payment more than six years ago"),
    ("PAYMENT_PLAN", "2026-04-01", "2099-06-30", "Twelve rates agreed"),
)


class System:
    """A running `smartrecover up` on ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("risk", "debt", "sqs", "console")}
        self.risk = f"http://127.0.0.1:{self.ports['risk']}/risk-service"
        self.console = f"http://127.0.0.1:{self.ports['console']}"
        given = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        apis = {f"{name.upper()}_API_URL": f"http://127.0.0.1:{self.ports[name]}" for name in ("risk", "debt")}
        self.environment = given | apis | {"RISK_DATABASE_URL": f"sqlite:///{folder / 'risk.db'}"}
        self.http = httpx.Client(base_url=self.risk, timeout=60)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep it running while the block runs."""
        ports = [part for name, port in self.ports.items() for part in (f"--{name}-port", str(port))]
        log = self.folder / "up.log"
        with log.open("wb") as output:
            process = start(
                [sys.executable, "-m", "smartrecover", "up", "--data-dir", str(self.folder), *ports],
                env=self.environment, stdout=output, stderr=output, cwd=self.folder,
            )  # fmt: skip
        try:
            eventually(lambda: re.search(r"^ready ", log.read_text(), re.MULTILINE), 120, "ready")
            yield
        finally:
            stop(process)

    def command(self, *arguments: str) -> None:
        """Run a command of the risk service."""
        program = [sys.executable, "-m", "risk_assessment", *arguments]
        subprocess.run(program, env=self.environment, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """Send JSON, and return the answer."""
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


def fill(system: System) -> dict[str, str]:
    """Invent debtors, holds, runs, a draft and its simulation; return the pages by the name of their image."""
    system.command("generate-debtors", "--count", str(DEBTORS), "--seed", "42")
    book = {"currency": "EUR", "time_zone": "Europe/Paris", "jurisdiction": "EU"}
    assert system.http.put("/portfolios/default", json=book).is_success
    top = system.http.get("/debtors", params={"sort": "priority", "limit": 40}).json()["items"]
    owing = [debtor["id"] for debtor in top if debtor["payment_status"] != "PAID"]
    system.command("process-debtors", "--batch-size", "100")
    for debtor, (kind, begins, ends, reason) in zip(owing[5:], HOLDS, strict=False):
        body = {"debtor_id": debtor, "kind": kind, "from": begins, "until": ends, "reason": reason, "source": "crm"}
        system.post("/holds", {name: value for name, value in body.items() if value})
    system.command("process-debtors", "--batch-size", "100")
    run = system.http.get("/runs").json()["items"][0]["id"]
    draft = system.post("/policies", a_draft())["hash"]
    simulation = system.post("/simulations", {"policy": draft})["id"]
    path = f"/simulations/{simulation}"
    eventually(lambda: system.http.get(path).json()["state"] == "completed", 120, "the simulation")
    return {
        "portfolio": "/",
        "debtor": f"/debtors/{owing[5]}",
        "runs": "/runs",
        "new-run": "/runs/new",
        "run": f"/runs/{run}",
        "compare": f"/runs/{run}/compare",
        "decisions": f"/runs/{run}/decisions",
        "policies": "/policies",
        "draft": f"/policies/{draft}",
        "simulation": path,
        "holds": "/holds",
        "import": "/holds/import",
        "operations": "/operations",
        "sign-in": "/sign-in",
    }


def a_draft() -> dict[str, Any]:
    """A policy that weighs debt against income more, and reviews large debts earlier."""
    document = dict(built_in_policy("standard").document)
    ratio = document["factors"]["debt_ratio"] | {"weight": 13}
    factors = document["factors"] | {"debt_ratio": ratio}
    return document | {"name": "house", "version": 2, "description": "More weight on the ratio.", "factors": factors}


def shoot(system: System, pages: dict[str, str]) -> None:
    """Take each page, light and dark."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for scheme in ("light", "dark"):
            options: dict[str, Any] = {"viewport": SIZE, "color_scheme": scheme, "timezone_id": "Europe/Paris"}
            with opened_tab(browser, system.console, **options) as tab:
                for name, path in pages.items():
                    page = tab.open(path)
                    settle(page)
                    page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
                    print(f"{name}-{scheme}.png")


def settle(page: Page) -> None:
    """Wait until what is loaded after the first paint is there."""
    page.wait_for_timeout(1_000)
    expect(page.locator(".htmx-request")).to_have_count(0, timeout=20_000)


def main() -> None:
    """Make all images."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        system = System(Path(folder))
        with system.running():
            shoot(system, fill(system))


if __name__ == "__main__":
    main()
