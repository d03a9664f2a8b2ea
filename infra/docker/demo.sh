#!/bin/sh
# The main job through containers, end to end: start, invent a portfolio, run, report. Beside a system that is up already:
# project, data and ports are its own. All of it is removed in the end; KEEP=1 leaves it running.
set -eu
cd "$(dirname "$0")/../.."

# Ports that are free: the demo calls the APIs from inside.
export RISK_PORT=0 DEBT_PORT=0

compose() {
    docker compose --project-name smartrecover-demo "$@"
}

ended() {
    status=$?
    trap - EXIT INT TERM
    if [ "$status" -ne 0 ]; then
        compose ps --all >&2 || true
        compose logs --tail 20 >&2 || true
    fi
    if [ "${KEEP:-}" = 1 ]; then
        echo "Left running; remove it with: docker compose --project-name smartrecover-demo down --volumes" >&2
    else
        compose --profile cli down --volumes --timeout 30 >/dev/null 2>&1 || status=1
    fi
    exit "$status"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A terminal gets the progress bars; -T elsewhere, where there is none to give.
[ -t 0 ] && [ -t 1 ] && tty='' || tty=-T

compose --progress quiet up --detach --build --wait
compose run --rm $tty cli risk-assessment generate-debtors --count "${DEBTORS:-50000}" --clear
compose run --rm $tty cli risk-assessment process-debtors
