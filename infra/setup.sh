#!/bin/sh
# Finds a Python that is new enough and lets it make the environment: `make setup`.
# PYTHON=python3.13 asks for that one; without it an environment that works is kept as it is.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

# Trying it is the only proof: pyenv leaves commands on the PATH that answer "not found" until their version is chosen.
runs() {
    "$1" -c "$new_enough" 2>/dev/null && return 0
    command -v pyenv >/dev/null 2>&1 || return 1
    chosen=$(pyenv whence "$1" 2>/dev/null | tail -n 1)
    [ -n "$chosen" ] && PYENV_VERSION=$chosen "$1" -c "$new_enough" 2>/dev/null || return 1
    export PYENV_VERSION="$chosen"
}

if [ -n "${PYTHON:-}" ]; then
    if ! runs "$PYTHON"; then
        echo "setup: PYTHON=$PYTHON is not a Python 3.11 or newer that runs here." >&2
        exit 1
    fi
    exec "$PYTHON" -I "$here/make_environment.py" --exactly-this-python
fi

for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if runs "$python"; then
        exec "$python" -I "$here/make_environment.py"
    fi
done

echo "setup: no Python 3.11 or newer was found. Install one, or name it: make setup PYTHON=/path/to/python3" >&2
exit 1
