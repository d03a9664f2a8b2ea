"""Print uv as a line for `pip install --require-hashes`, in the version and under the hashes of a lock file."""

import sys
import tomllib
from pathlib import Path


def requirement(lock: str) -> str:
    """Write the requirement; every wheel's hash is allowed, because pip chooses the one that fits."""
    package = next(package for package in tomllib.loads(lock)["package"] if package["name"] == "uv")
    hashes = [f"--hash={wheel['hash']}" for wheel in package["wheels"]]
    return " \\\n    ".join([f"uv=={package['version']}", *hashes])


if __name__ == "__main__":
    print(requirement(Path(sys.argv[1]).read_text(encoding="utf-8")))
