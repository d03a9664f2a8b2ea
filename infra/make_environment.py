"""Make `.venv` from `uv.lock` with this Python; does nothing when that is already done.

Runs before anything is installed, so it needs the standard library alone. uv does the work: the one on the PATH, or
else one that is put into `.uv`. Nothing outside the project's folder is changed, uv's own cache apart.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
OWN_UV = ROOT / ".uv" / "bin" / "uv"
STAMP = VENV / "smartrecover-setup.json"

SYNC = ("sync", "--quiet", "--locked", "--extra", "local")
EXPORT = ("export", "--quiet", "--frozen", "--extra", "local", "--no-emit-project", "--format", "requirements.txt")
PROGRAMS = ("risk_assessment.__main__", "debt_processing.__main__", "smartrecover.__main__", "aioboto3", "moto.server")
PIP_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", "uv")

# What a shell may have set for another project, and would lead uv or pip astray in this one.
FOREIGN = (
    "PYTHONDONTWRITEBYTECODE",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_NO_DEV",
    "UV_NO_SYNC",
    "UV_FROZEN",
    "PIP_TARGET",
    "PIP_PREFIX",
)


class SetupError(Exception):
    """The environment could not be made; the text says why and what to do."""


def main(arguments: list[str]) -> int:
    """Make the environment unless it is there; 0 when it is ready, 1 with a clear line when it cannot be made."""
    exactly = "--exactly-this-python" in arguments
    python = own_interpreter()
    if is_ready(python if exactly else None):
        return 0
    print("Setting up .venv (the first time this takes a minute) ...", flush=True)
    try:
        uv = find_uv() or install_uv(python)
        keep = not exactly and venv_runs()
        sync(uv, VENV_PYTHON if keep else python)
        warm_up()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    version = run([VENV_PYTHON, "--version"]).stdout.strip()
    STAMP.write_text(json.dumps(stamp(venv_interpreter())), encoding="utf-8")
    print(f"Ready: .venv with {version}.", flush=True)
    return 0


# --- is there anything to do? ---


def own_interpreter() -> str:
    """The interpreter that runs this, without the virtual environment that may be active around it."""
    return os.path.realpath(sys.executable)


def stamp(python: str) -> dict[str, str]:
    """What the environment was made from; another lock, project file, place or Python makes another stamp."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "uv.lock"):
        digest.update((ROOT / name).read_bytes())
    return {"inputs": digest.hexdigest(), "root": str(ROOT), "python": python}


def is_ready(python: str | None) -> bool:
    """True when the stamp in the environment is today's, for that Python or (None) for whichever it was made with."""
    try:
        made = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(made, dict) or not VENV_PYTHON.exists():
        return False
    return made == stamp(python or str(made.get("python")))


def venv_runs() -> bool:
    """True when `.venv` has a Python that runs and is new enough to be kept."""
    try:
        return run([VENV_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).returncode == 0
    except OSError:
        return False


def venv_interpreter() -> str:
    """The interpreter that `.venv` was made with."""
    return os.path.realpath(VENV_PYTHON)


# --- uv ---


def find_uv() -> str | None:
    """The uv on the PATH or in `.uv`, when it is new enough for the lock file."""
    wanted = minimum_uv()
    for candidate in (shutil.which("uv"), str(OWN_UV)):
        if candidate and (found := uv_version(candidate)) and found >= wanted:
            return candidate
    return None


def minimum_uv() -> tuple[int, ...]:
    """The oldest uv that the project takes, from `required-version` in pyproject.toml."""
    text: str = pyproject()["tool"]["uv"]["required-version"]
    return numbers(text)


def pyproject() -> dict[str, Any]:
    """The project file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def uv_version(uv: str) -> tuple[int, ...] | None:
    """Its version, or None when it does not run."""
    try:
        answer = run([uv, "--version"])
    except OSError:
        return None
    return numbers(answer.stdout) if answer.returncode == 0 else None


def numbers(text: str) -> tuple[int, ...]:
    """The first dotted number in a text: "uv 0.13.9 (x)" gives (0, 13, 9)."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def install_uv(python: str) -> str:
    """Put uv into `.uv`, in the first way that this machine offers, and return where it is."""
    OWN_UV.parent.mkdir(parents=True, exist_ok=True)
    complaints = []
    with tempfile.TemporaryDirectory(dir=OWN_UV.parent.parent) as scratch:
        for way in (uv_from_venv, uv_from_pip, uv_from_lock):
            try:
                binary = way(python, Path(scratch) / way.__name__)
            except (SetupError, OSError) as error:
                complaints.append(str(error))
                continue
            # The binary stands alone, so it may leave its folder; a rename is safe beside a second set-up.
            os.replace(binary, OWN_UV)
            return str(OWN_UV)
    raise SetupError("uv could not be installed.\n" + "\n".join(complaints))


def uv_from_venv(python: str, folder: Path) -> Path:
    """With pip in an environment of its own: the usual way."""
    must([python, "-m", "venv", folder], "`python -m venv`")
    must([folder / "bin" / "python", *PIP_INSTALL, f"uv=={locked_uv()['version']}"], "pip in a new environment")
    return folder / "bin" / "uv"


def uv_from_pip(python: str, folder: Path) -> Path:
    """With the pip of this Python, for machines that have pip and no venv."""
    must([python, *PIP_INSTALL, "--target", folder, f"uv=={locked_uv()['version']}"], "the pip of this Python")
    return folder / "bin" / "uv"


def uv_from_lock(_: str, folder: Path) -> Path:
    """Straight from the address in uv.lock, for machines with neither; its hash is checked."""
    wheel = wheel_for_this_machine(locked_uv()["wheels"])
    with urllib.request.urlopen(wheel["url"], timeout=300) as answer:  # noqa: S310 - from our lock file
        content: bytes = answer.read()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != wheel["hash"]:
        raise SetupError(f"{wheel['url']} is not what uv.lock says it is.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        binary = Path(archive.extract(name, folder))
    binary.chmod(0o755)
    return binary


def wheel_for_this_machine(wheels: list[dict[str, Any]]) -> dict[str, Any]:
    """The one made for this system and processor."""
    system = {"darwin": "macosx_"}.get(
        sys.platform, "manylinux_" if platform.libc_ver()[0] == "glibc" else "musllinux_"
    )
    ending = f"_{platform.machine()}.whl"
    for wheel in wheels:
        name = wheel["url"].rpartition("/")[2]
        if system in name and name.endswith(ending):
            return wheel
    raise SetupError(f"uv.lock names no uv for {sys.platform} on {platform.machine()}.")


def locked_uv() -> dict[str, Any]:
    """What uv.lock says of uv itself: version, wheels and their hashes."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    package: dict[str, Any] = next(package for package in lock["package"] if package["name"] == "uv")
    return package


# --- the environment ---


def sync(uv: str, python: str | Path) -> None:
    """Install exactly what uv.lock names into `.venv`, project and developers' tools included."""
    if VENV.is_dir() and not (VENV / "pyvenv.cfg").exists() and any(VENV.iterdir()):
        raise SetupError(f"{VENV} is there and is no Python environment. Move it away and try again.")
    if not venv_runs() and VENV.exists():
        shutil.rmtree(VENV)
    first = run([uv, *SYNC, "--python", python])
    if first.returncode == 0:
        return
    if "lockfile" in first.stderr:
        raise SetupError(f"uv.lock does not fit pyproject.toml; run `uv lock`.\n{first.stderr.strip()}")
    # Behind a proxy with a certificate of its own, uv's own list of authorities is not enough; the system's may be.
    second = run([uv, *SYNC, "--python", python], UV_SYSTEM_CERTS="true", UV_NATIVE_TLS="true")
    if second.returncode == 0:
        return
    # An index that only pip has been told of: the same versions and hashes, fetched by pip.
    try:
        install_with_pip(uv, python)
    except SetupError as error:
        raise SetupError(f"the packages could not be installed.\n{first.stderr.strip()}\n{error}") from error


def install_with_pip(uv: str, python: str | Path) -> None:
    """Fill `.venv` by pip, under the hashes of uv.lock; packages that the lock does not know are not removed."""
    if not venv_runs():
        must([python, "-m", "venv", VENV], "`python -m venv`")
    must([VENV_PYTHON, "-m", "ensurepip"], "`python -m ensurepip`")
    requirements = must([uv, *EXPORT], "uv export")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        must([VENV_PYTHON, *PIP_INSTALL, "--require-hashes", "--requirement", file.name], "pip install")
    must([VENV_PYTHON, *PIP_INSTALL, "--no-deps", "--editable", ROOT], "pip install --editable")


def warm_up() -> None:
    """Import what our programs import, so that none of them has to compile it at its own first start."""
    must([VENV_PYTHON, "-c", f"import {', '.join(PROGRAMS)}"], "importing our programs")


# --- other programs ---


def must(command: list[str | Path], what: str) -> str:
    """Run it and return what it printed; SetupError with the end of its complaint when it fails."""
    answer = run(command)
    if answer.returncode:
        complaint = (answer.stderr.strip() or answer.stdout.strip()).splitlines()[-12:]
        raise SetupError(f"{what} failed:\n  " + "\n  ".join(complaint))
    return answer.stdout


def run(command: Sequence[str | Path], **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's folder, in an environment where only this project's settings count."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "true",
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    environment.setdefault("UV_HTTP_TIMEOUT", "120")
    if not cache_is_writable():
        environment["UV_CACHE_DIR"] = str(ROOT / ".uv" / "cache")
    return subprocess.run(  # noqa: S603 - our own commands, no shell
        [str(part) for part in command],
        cwd=ROOT,
        env=environment | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def cache_is_writable() -> bool:
    """False for a user without a home, as in many containers: uv would stop there."""
    if "UV_CACHE_DIR" in os.environ:
        return True
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(nearest, os.W_OK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
