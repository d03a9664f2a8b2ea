#!/bin/sh
# Makes what must be the same bytes everywhere on the other supported Pythons of this machine: `make same-bytes`.
# Each gets an environment in .uv, with numpy and without the developers' tools. One that is not here is said loudly.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$here"
own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

is_version() {
    "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null && return 0
    [ -z "${2:-}" ] && command -v pyenv >/dev/null 2>&1 || return 1
    PYENV_VERSION=$(pyenv whence "$1" 2>/dev/null | tail -n 1) && export PYENV_VERSION
    is_version "$1" again || { unset PYENV_VERSION; return 1; }
}

make_it() {
    for options in "" --without-numpy; do
        rm -f "$scratch"/made.db*
        PYTHONPATH=. "$@" -m tests.risk_assessment.same_bytes.making \
            "sqlite:///$scratch/made.db" --check $options || status=1
    done
}

make_it .venv/bin/python
for version in 3.11 3.13; do
    [ "$version" != "$own" ] || continue
    unset PYENV_VERSION
    if ! is_version "python$version"; then
        echo "NOT TRIED: there is no python$version here, so nothing shows that it makes the same bytes."
        continue
    fi
    python=$("python$version" -c 'import sys; print(sys.executable)')
    environment=.uv/same-bytes-$version
    if ! UV_PROJECT_ENVIRONMENT="$environment" .venv/bin/uv sync --quiet --frozen \
        --no-default-groups --extra analytics --python "$python" 2>"$scratch/sync"; then
        cat "$scratch/sync" >&2
        echo "NOT TRIED: the environment for python$version could not be made, so nothing shows that it makes the same bytes."
        continue
    fi
    make_it "$environment/bin/python"
done
exit "$status"
