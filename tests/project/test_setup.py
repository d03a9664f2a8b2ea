"""The environment is made from a bare clone, and not made twice."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .tree import ROOT

INTERPRETER = os.path.realpath(sys.executable)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """infra/make_environment.py, working in a project of its own."""
    place = importlib.util.spec_from_file_location("make_environment", ROOT / "infra/make_environment.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, tmp_path)
    console = tmp_path / "services/recovery_console"
    console.mkdir(parents=True)
    shutil.copy(ROOT / "services/recovery_console/package-lock.json", console)
    monkeypatch.setattr(module, "CONSOLE_LOCK", console / "package-lock.json")
    monkeypatch.setattr(module, "CONSOLE_STAMP", console / "static/vendor/package-lock.sha256")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "VENV_PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(module, "OWN_UV", tmp_path / ".uv/bin/uv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv/smartrecover-setup.json")
    return module


@pytest.fixture
def ready(environment):
    """The same, with an environment that was made a moment ago."""
    environment.VENV_PYTHON.parent.mkdir(parents=True)
    environment.VENV_PYTHON.symlink_to(INTERPRETER)
    environment.STAMP.write_text(environment.json.dumps(environment.stamp(INTERPRETER)))
    return environment


def test_what_is_made_is_not_made_again(ready, monkeypatch):
    monkeypatch.setattr(ready, "run", lambda *_, **__: pytest.fail("nothing may be started"))

    assert ready.main([]) == 0
    assert ready.main(["--exactly-this-python"]) == 0


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock", "services/recovery_console/package-lock.json"])
def test_a_changed_project_file_or_lock_makes_it_again(ready, name):
    assert ready.is_ready(None)

    with (ready.ROOT / name).open("a") as file:
        file.write("\n# changed\n")

    assert not ready.is_ready(None)


def test_another_python_is_kept_unless_one_is_asked_for(ready):
    ready.STAMP.write_text(ready.json.dumps(ready.stamp("/another/python3.13")))

    assert ready.is_ready(None)
    assert not ready.is_ready(INTERPRETER)


def test_a_copied_folder_is_set_up_again(ready, tmp_path, monkeypatch):
    monkeypatch.setattr(ready, "ROOT", shutil.copytree(tmp_path, tmp_path / "copy", symlinks=True))

    assert not ready.is_ready(None)


def test_an_environment_whose_python_is_gone_is_made_again(ready):
    ready.VENV_PYTHON.unlink()
    ready.VENV_PYTHON.symlink_to("/nowhere/python3")

    assert not ready.is_ready(None)
    assert not ready.venv_runs()


@pytest.mark.parametrize("content", ["", "[]", '{"inputs": 1}'])
def test_a_broken_stamp_counts_as_none(ready, content):
    ready.STAMP.write_text(content)

    assert not ready.is_ready(None)


def test_a_folder_that_is_no_environment_is_left_alone(environment):
    precious = environment.VENV / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")

    with pytest.raises(environment.SetupError, match="Move it away"):
        environment.sync("uv", sys.executable)
    assert precious.exists()


def test_a_lock_that_does_not_fit_is_said_and_not_worked_around(environment, monkeypatch):
    answer = subprocess.CompletedProcess([], 1, "", "error: The lockfile at `uv.lock` needs to be updated")
    monkeypatch.setattr(environment, "run", lambda *_, **__: answer)

    with pytest.raises(environment.SetupError, match="run `uv lock`"):
        environment.sync("uv", sys.executable)


@pytest.mark.parametrize("made", [True, False])
def test_without_the_consoles_scripts_our_package_is_built_again_and_one_line_says_so(
    environment, monkeypatch, capsys, made
):
    asked: list[list[str]] = []

    def run(command, *_):
        asked.append([str(part) for part in command])
        environment.STAMP.parent.mkdir(exist_ok=True)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(environment, "run", run)
    if made:
        environment.CONSOLE_STAMP.parent.mkdir(parents=True)
        lock = environment.CONSOLE_LOCK.read_bytes()
        environment.CONSOLE_STAMP.write_text(environment.hashlib.sha256(lock).hexdigest())

    assert environment.main([]) == 0

    (sync,) = [command for command in asked if command[1] == "sync"]
    assert ("--reinstall-package" in sync) is not made
    assert [line for line in capsys.readouterr().out.splitlines() if "console" in line] == (
        [] if made else [environment.WITHOUT_CONSOLE]
    )


def test_an_old_uv_is_passed_over(environment, tmp_path, monkeypatch):
    project = environment.ROOT / "pyproject.toml"
    uv = shutil.which("uv", path=f"{ROOT / '.venv/bin'}:{ROOT / '.uv/bin'}:{os.environ['PATH']}")
    assert uv, "the developers' tools bring a uv"
    monkeypatch.setattr(environment.shutil, "which", lambda _: uv)
    assert environment.find_uv() == uv

    project.write_text(project.read_text().replace('required-version = ">=0.8"', 'required-version = ">=99"'))
    assert environment.find_uv() is None


def test_what_is_no_uv_is_passed_over(environment, tmp_path, monkeypatch):
    monkeypatch.setattr(environment.shutil, "which", lambda _: str(a_command(tmp_path / "bin/uv", "exit 127")))

    assert environment.find_uv() is None


def test_a_machine_without_any_way_to_uv_reports_all_that_was_tried(environment, monkeypatch):
    def fails(*_):
        raise environment.SetupError("no such thing")

    for way in ("uv_from_pip", "uv_from_lock"):
        monkeypatch.setattr(environment, way, fails)

    with pytest.raises(environment.SetupError, match=r"(?s)no such thing.*no such thing"):
        environment.install_uv(sys.executable)


@pytest.mark.parametrize(
    ("system", "libc", "machine", "part"),
    [
        ("linux", "glibc", "x86_64", "manylinux"),
        ("linux", "glibc", "aarch64", "manylinux"),
        ("linux", "", "x86_64", "musllinux"),
        ("linux", "", "aarch64", "musllinux"),
        ("darwin", "", "arm64", "macosx"),
    ],
)
def test_the_lock_has_a_uv_for_every_machine_of_ours(environment, monkeypatch, system, libc, machine, part):
    monkeypatch.setattr(environment.sys, "platform", system)
    monkeypatch.setattr(environment.platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)

    wheel = environment.wheel_for_this_machine(environment.locked_uv()["wheels"])

    assert part in wheel["url"]
    assert wheel["url"].endswith(f"_{machine}.whl")


def test_the_mysql_headers_are_not_needed():
    assert "mysqlclient" not in (ROOT / "infra/make_environment.py").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not any("mysqlclient" in requirement for requirement in project["dependencies"])


# --- setup.sh: which Python ---


def a_command(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def setup_sh(tmp_path):
    """Runs setup.sh with these folders as PATH, beside a stand-in that shows which Python got the work."""
    infra = tmp_path / "a folder with spaces" / "infra"
    infra.mkdir(parents=True)
    shutil.copy(ROOT / "infra/setup.sh", infra)
    (infra / "make_environment.py").write_text("import os, sys; print(os.environ.get('WHO'), *sys.argv[1:])")

    def run(*path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        folders = [str(folder) for folder in path]
        needed = tmp_path / "needed"
        needed.mkdir(exist_ok=True)
        for tool in ("dirname", "tail"):
            (needed / tool).symlink_to(shutil.which(tool) or tool)
        return subprocess.run(
            ["/bin/sh", infra / "setup.sh"],
            env={"PATH": ":".join([*folders, str(needed)]), **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


WORKS = f'WHO="${{0##*/}}" exec {INTERPRETER} "$@"'


def test_the_first_python_that_runs_and_is_new_enough_gets_the_work(setup_sh, tmp_path):
    a_command(tmp_path / "bin/python3", "exit 1")  # too old
    a_command(tmp_path / "bin/python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    a_command(tmp_path / "bin/python3.12", WORKS)

    assert setup_sh(tmp_path / "bin").stdout == "python3.12\n"


def test_the_python_that_is_asked_for_is_taken_exactly(setup_sh, tmp_path):
    a_command(tmp_path / "bin/python3", WORKS)
    named = a_command(tmp_path / "some where/python9", WORKS)

    assert setup_sh(tmp_path / "bin", PYTHON=str(named)).stdout == "python9 --exactly-this-python\n"


def test_a_python_that_pyenv_holds_is_found(setup_sh, tmp_path):
    a_command(tmp_path / "bin/python3.13", f'[ "$PYENV_VERSION" = 3.13.0 ] || exit 127\n{WORKS}')
    a_command(tmp_path / "bin/pyenv", "echo 3.13.0")

    assert setup_sh(tmp_path / "bin", PYTHON="python3.13").stdout == "python3.13 --exactly-this-python\n"


@pytest.mark.parametrize(
    ("settings", "complaint"), [({}, "no Python 3.11 or newer"), ({"PYTHON": "python4"}, "PYTHON=python4 is not")]
)
def test_without_a_python_there_is_one_clear_line(setup_sh, tmp_path, settings, complaint):
    done = setup_sh(tmp_path / "nothing", **settings)

    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
