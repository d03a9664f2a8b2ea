"""Make `.venv` from `uv.lock` with this Python; does nothing when that is already done.

It runs before anything is installed, so it needs the standard library alone. uv does the work: the one on the PATH, or
one that is put into `.uv`. Nothing outside the project's folder changes, apart from uv's own cache.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV, OWN_UV = ROOT / ".venv", ROOT / ".uv/bin/uv"
VENV_PYTHON, STAMP = VENV / "bin/python", VENV / "smartrecover-setup.json"

# The console's scripts, which the build of our own package fetches: see infra/console_assets.py.
CONSOLE_LOCK = ROOT / "services/recovery_console/package-lock.json"
CONSOLE_STAMP = CONSOLE_LOCK.parent / "static/vendor/package-lock.sha256"

SYNC = ("sync", "--quiet", "--locked", "--extra", "local", "--extra", "console")
EXPORT = (
    *("export", "--quiet", "--frozen", "--extra", "local", "--extra", "console"),
    *("--no-emit-project", "--format", "requirements.txt"),
)
SERVICES = "risk_assessment.__main__, debt_processing.__main__, recovery_console.__main__, smartrecover.__main__"
PROGRAMS = f"{SERVICES}, aioboto3, moto.server"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", "uv")
# Settings of another project's shell, which would mislead uv or pip in this one.
FOREIGN = {
    *("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_TARGET", "PIP_PREFIX"),
    *("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_NO_DEV", "UV_NO_SYNC", "UV_FROZEN"),
}
OURS = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "true", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
WITHOUT_CONSOLE = (
    "The console is left out: its scripts could not be fetched from the npm registry. `make clean setup` tries again."
)


class SetupError(Exception):
    """The environment could not be made; the text says why and what to do."""


def main(arguments: list[str]) -> int:
    """Make the environment unless it is there; return 0 when it is ready, 1 with a clear line otherwise."""
    python, exactly = os.path.realpath(sys.executable), "--exactly-this-python" in arguments
    if is_ready(python if exactly else None):
        return 0
    print("Setting up .venv (the first time this takes a minute) ...", flush=True)
    try:
        sync(find_uv() or install_uv(python), str(VENV_PYTHON) if venv_runs() and not exactly else python)
        # Compiled now, so that no program has to compile them at its own first start.
        must([VENV_PYTHON, "-c", f"import {PROGRAMS}"], "importing our programs")
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    STAMP.write_text(json.dumps(stamp(os.path.realpath(VENV_PYTHON))), encoding="utf-8")
    if not has_console():
        print(WITHOUT_CONSOLE, flush=True)
    print(f"Ready: .venv with {run([VENV_PYTHON, '--version']).stdout.strip()}.", flush=True)
    return 0


def stamp(python: str) -> dict[str, str]:
    """Return what the environment is made from; another lock, project file, place or Python changes it."""
    inputs = b"".join(file.read_bytes() for file in (ROOT / "pyproject.toml", ROOT / "uv.lock", CONSOLE_LOCK))
    return {"inputs": hashlib.sha256(inputs).hexdigest(), "root": str(ROOT), "python": python}


def is_ready(python: str | None) -> bool:
    """Return whether the environment's stamp is current, for that Python or (None) for the one it was made with."""
    try:
        made = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(made, dict) and VENV_PYTHON.exists() and made == stamp(python or str(made.get("python")))


def has_console() -> bool:
    """Return whether the console's scripts are there and come from its lock file as it is now."""
    lock = hashlib.sha256(CONSOLE_LOCK.read_bytes()).hexdigest()
    return CONSOLE_STAMP.exists() and CONSOLE_STAMP.read_text(encoding="ascii") == lock


def venv_runs() -> bool:
    """Return whether `.venv` has a Python that runs and is new enough to be kept."""
    return runs([VENV_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])


def find_uv() -> str | None:
    """Return the uv on the PATH or in `.uv`, when it runs and is new enough for the project."""
    return next((uv for uv in (shutil.which("uv"), str(OWN_UV)) if uv and runs([uv, *EXPORT])), None)


def install_uv(python: str) -> str:
    """Put the locked uv into `.uv`, in the first way that this machine offers, and return where it is."""
    OWN_UV.parent.mkdir(parents=True, exist_ok=True)
    complaints = []
    with tempfile.TemporaryDirectory(dir=OWN_UV.parent.parent) as scratch:
        for way in (uv_from_pip, uv_from_lock):
            try:
                # The binary works alone, so it may leave its folder; a rename is safe beside a second set-up.
                os.replace(way(python, Path(scratch)), OWN_UV)
                return str(OWN_UV)
            except (SetupError, OSError) as error:
                complaints.append(str(error))
    raise SetupError("uv could not be installed.\n" + "\n".join(complaints))


def uv_from_pip(python: str, folder: Path) -> Path:
    """Install uv with the pip of a new environment, or of this Python where it can make none."""
    if runs([python, "-m", "venv", folder]):
        python = str(folder / "bin/python")
    must([python, *PIP, "--prefix", folder, f"uv=={locked_uv()['version']}"], "pip")
    return next(folder.glob("**/bin/uv"))


def uv_from_lock(_: str, folder: Path) -> Path:
    """Download uv from the address in uv.lock, on machines with neither; its hash is checked."""
    wheel = wheel_for_this_machine(locked_uv()["wheels"])
    with urllib.request.urlopen(wheel["url"], timeout=300) as response:  # noqa: S310 - from our lock file
        content: bytes = response.read()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != wheel["hash"]:
        raise SetupError(f"{wheel['url']} does not have the hash of uv.lock.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        binary = Path(archive.extract(next(n for n in archive.namelist() if n.endswith("/scripts/uv")), folder))
    binary.chmod(0o755)
    return binary


def wheel_for_this_machine(wheels: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the wheel made for this system and processor."""
    linux = "manylinux_" if platform.libc_ver()[0] == "glibc" else "musllinux_"
    system, ending = "macosx_" if sys.platform == "darwin" else linux, f"_{platform.machine()}.whl"
    for wheel in wheels:
        if system in wheel["url"].rpartition("/")[2] and wheel["url"].endswith(ending):
            return wheel
    raise SetupError(f"uv.lock names no uv for {sys.platform} on {platform.machine()}.")


def locked_uv() -> dict[str, Any]:
    """Return uv's own entry in uv.lock: version, wheels and their hashes."""
    packages: list[dict[str, Any]] = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    return next(package for package in packages if package["name"] == "uv")


def sync(uv: str, python: str) -> None:
    """Install exactly what uv.lock names into `.venv`, project and developers' tools included."""
    if VENV.is_dir() and not (VENV / "pyvenv.cfg").exists() and any(VENV.iterdir()):
        raise SetupError(f"{VENV} is there and is no Python environment. Move it away and try again.")
    if VENV.exists() and not venv_runs():
        shutil.rmtree(VENV)
    # A build that uv has in its cache would not make the console's scripts again.
    command = [uv, *SYNC, "--python", python, *(() if has_console() else ("--reinstall-package", "smartrecover"))]
    first = run(command)
    if "lockfile" in first.stderr:
        raise SetupError(f"uv.lock does not fit pyproject.toml; run `uv lock`.\n{first.stderr.strip()}")
    # Behind a proxy with a certificate of its own, the system's certificates may be enough where uv's own are not.
    system_certificates = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
    if first.returncode and run(command, system_certificates).returncode:
        try:
            install_with_pip(uv, python)
        except SetupError as error:
            raise SetupError(f"the packages could not be installed.\n{first.stderr.strip()}\n{error}") from error


def install_with_pip(uv: str, python: str) -> None:
    """Fill `.venv` with the same versions and hashes from an index that only pip is configured for."""
    if not venv_runs():
        must([python, "-m", "venv", VENV], "`python -m venv`")
    must([VENV_PYTHON, "-m", "ensurepip"], "`python -m ensurepip`")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(must([uv, *EXPORT], "uv export"))
        file.flush()
        must([VENV_PYTHON, *PIP, "--require-hashes", "--requirement", file.name], "pip install")
    must([VENV_PYTHON, *PIP, "--no-deps", "--editable", ROOT], "pip install --editable")


def runs(command: list[str | Path]) -> bool:
    """Return whether a command exists and succeeds."""
    try:
        return run(command).returncode == 0
    except OSError:
        return False


def must(command: list[str | Path], what: str) -> str:
    """Run a command and return its output; raise SetupError with the end of its complaint when it fails."""
    done = run(command)
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip()).splitlines()[-12:]
        raise SetupError(f"{what} failed:\n  " + "\n  ".join(complaint))
    return done.stdout


def run(command: list[str | Path], settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's folder, in an environment where only this project's settings count."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN} | OURS
    environment.setdefault("UV_HTTP_TIMEOUT", "120")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    if not os.access(next(folder for folder in (cache, *cache.parents) if folder.exists()), os.W_OK):
        environment.setdefault("UV_CACHE_DIR", str(ROOT / ".uv/cache"))  # a user without a home, as in many containers
    return subprocess.run(  # noqa: S603 - our own commands, no shell
        [str(part) for part in command], cwd=ROOT, env=environment | (settings or {}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
