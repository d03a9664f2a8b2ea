"""The consumer as a program that dies, as if killed, whenever it begins a batch of the run `killer`."""

import os
import sys
from typing import Any

from debt_processing import worker
from debt_processing.__main__ import main

decide = worker.decide


def deadly(batch: Any, scorer: Any, treatment: Any) -> Any:
    if batch.header.run_id == "killer":
        os._exit(9)
    return decide(batch, scorer, treatment)


worker.decide = deadly
sys.argv = ["debt-processing", "consume"]
main()
