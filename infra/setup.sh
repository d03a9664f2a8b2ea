#!/bin/sh
# Finds a Python that is new enough and lets it make the environment: `make setup`.
# PYTHON=python3.13 asks for that one; without it an environment that works is kept as it is.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# Trying is the only proof: pyenv leaves commands on the PATH that print "not found" until their version is chosen.
runs() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return 0
    [ -z "${2:-}" ] && command -v pyenv >/dev/null 2>&1 || return 1
    PYENV_VERSION=$(pyenv whence "$1" 2>/dev/null | tail -n 1) && export PYENV_VERSION
    runs "$1" again || { unset PYENV_VERSION; return 1; }
}

problem="no Python 3.11 or newer was found. Install one, or name it: make setup PYTHON=/path/to/python3"
exactly=
set -- python3 python3.14 python3.13 python3.12 python3.11 python
if [ -n "${PYTHON:-}" ]; then
    problem="PYTHON=$PYTHON is not a Python 3.11 or newer that runs here." exactly=--exactly-this-python
    set -- "$PYTHON"
fi
for python do
    ! runs "$python" || exec "$python" -I "$here/make_environment.py" $exactly
done
echo "setup: $problem" >&2
exit 1
