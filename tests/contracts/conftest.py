"""How hard the fuzzers try: the same examples each time, or more and other ones where the environment asks for it."""

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, settings

# A database on a busy machine is slow at times, which says nothing about the code.
settings.register_profile(
    "contracts",
    deadline=None,
    print_blob=True,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("contracts-at-random", settings.get_profile("contracts"), derandomize=False)


@dataclass(frozen=True)
class Effort:
    """`FUZZ_EFFORT=20` tries twenty times as much; `FUZZ_SEED=7` tries other things."""

    factor: float = float(os.environ.get("FUZZ_EFFORT", "1"))
    seed: int = int(os.environ.get("FUZZ_SEED", "1"))

    def examples(self, count: int) -> int:
        return max(1, round(count * self.factor))


EFFORT = Effort()

settings.load_profile("contracts" if EFFORT.seed == 1 else "contracts-at-random")
