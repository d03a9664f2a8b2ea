"""A process for one simulation, with a low priority: neither planning nor an API shares an interpreter with it.

It reads its orders as one line of JSON from standard input, and writes lines of JSON: how far it is, then the report.
It only reads the database. When the dispatcher is gone, its next line ends it.
"""

import os
import sys
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog
from sqlalchemy.engine import URL

from risk_assessment.policies.registry import load_registry
from risk_assessment.simulations import queries
from risk_assessment.simulations.simulating import simulate
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.outages import is_unavailable
from service_kit.observability.logs import configure

log = structlog.get_logger()

NICENESS = 10  # beyond the dispatcher's: APIs and plans come first, and on a busy machine it still gets on


def main(orders: dict[str, Any], out: TextIO) -> None:
    """Carry out the simulation that the orders name."""
    try:
        registry = load_registry(orders["policy"], Path(orders["folder"]) if orders["folder"] else None)
        database = Database(URL.create(**orders["database"]), pool_size=1)
        with database.read() as connection:
            simulation = queries.read(connection, orders["simulation_id"])
            found = simulate(connection, simulation, registry, utc_now(), lambda *judged: _say(out, judged=judged))
        _say(out, report=found)
    except BrokenPipeError:
        raise
    except Exception as error:
        if is_unavailable(error):
            _say(out, unavailable=True)
        else:
            log.exception("risk.simulation.failed", simulation_id=orders["simulation_id"])
            _say(out, failed=True)


def _say(out: TextIO, **message: Any) -> None:
    out.write(orjson.dumps(message).decode() + "\n")
    out.flush()


if __name__ == "__main__":
    os.nice(NICENESS)
    given = orjson.loads(sys.stdin.readline())
    configure("risk-assessment", given["log_level"])
    try:
        main(given, sys.stdout)
    except BrokenPipeError:  # the dispatcher is gone; flushing at the exit would fail once more
        os._exit(1)
