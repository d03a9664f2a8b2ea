"""`python -m tests.faults`: storms over the whole system, and the accounts of what became of every debtor."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.storms.storm import Storm, stormy_system
from tests.support.servers import find_mariadb
from tests.support.system.ledger import NOTHING, Ledger


def main() -> int:
    """Rage, heal, account; 0 when nothing was lost, doubled or wrong."""
    chosen = arguments()
    kinds = ["sqlite", "mariadb"] if chosen.database == "both" else [chosen.database]
    if find_mariadb() is None and "mariadb" in kinds:
        print("no MariaDB or MySQL server on this machine: SQLite only")
        kinds = ["sqlite"]
    print(f"seed {chosen.seed}, {chosen.seconds} seconds on {' and '.join(kinds)}", flush=True)
    good, total = True, NOTHING
    with tempfile.TemporaryDirectory(prefix="smartrecover-faults-") as folder:
        for kind in kinds:
            (Path(folder) / kind).mkdir()
            with stormy_system(kind, Path(folder) / kind, chosen.seed) as storm:
                ledger = weather(storm, kind, chosen.seconds / len(kinds))
                good = good and ledger.is_balanced and not storm.wrongs and storm.runs > 0
                total += ledger
    print(f"\nall together\n{total.table()}\n\n{'balanced' if good else 'NOT BALANCED'} (seed {chosen.seed})")
    return 0 if good else 1


def weather(storm: Storm, kind: str, seconds: float) -> Ledger:
    """One storm from its beginning to its accounts."""
    storm.rage(seconds)
    healing = time.monotonic()
    ledger = storm.heal()
    print(f"\n{kind}: {storm.runs} runs, {storm.faults.total()} faults ({_named(storm.faults)})")
    print(f"people: {_named(storm.acts)}")
    print(f"healed in {time.monotonic() - healing:.1f} s\n{ledger.table()}", flush=True)
    for wrong in storm.wrongs:
        print(f"WRONG: {wrong}", flush=True)
    return ledger


def _named(counts: Counter[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {times}" for name, times in sorted(counts.items()))


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, default=420, help="how long the storms rage, all together [420]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="what happens when")
    parser.add_argument("--database", choices=["sqlite", "mariadb", "both"], default="both")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
