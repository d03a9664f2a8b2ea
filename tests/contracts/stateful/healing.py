"""From here on nothing goes wrong any more, and every run comes to its end."""

from datetime import timedelta
from random import Random

from sqlalchemy import select
from tests.contracts.stateful.feeding import hear, say
from tests.contracts.stateful.world import RESEND_AFTER, World

from recovery_core.messages.results import encode_results
from risk_assessment import tables as risk
from risk_assessment.batches.tables import OPEN
from risk_assessment.runs.tables import FINISHED
from service_kit.worker.leader_lease import LEASE_SECONDS

ROUNDS = 60


def heal(world: World) -> None:
    """Let a third dispatcher and a consumer work until every run is over."""
    one = world.a_dispatcher("host-c:1:c")
    world.stops.bodies.clear()
    world.unreported = []
    world.now += timedelta(seconds=LEASE_SECONDS + 1)
    for _ in range(ROUNDS):
        world.take_lease(one)
        world.plan(one)
        say(one.sender)
        heard, world.stops.bodies[:] = list(world.stops.bodies), []
        hear(world.debt, world.risk, heard, world.now, acknowledge=True)
        for look in (world.build, world.look_for_lost):
            look(one)
            world.send(one, 0.0, Random(0))
            world.mark(one)
        world.batches.bodies += world.dead_letters.bodies
        world.dead_letters.bodies = []
        waiting, world.batches.bodies = world.batches.bodies, []
        world.process(waiting, "together")
        found, world.reports.bodies = [*world.reports.bodies, encode_results(world.unreported).decode()], []
        world.unreported = []
        world.read_reports(found)
        world.now += timedelta(seconds=4 * RESEND_AFTER + 1)
        if _is_over(world):
            return
    raise AssertionError(f"not over after {ROUNDS} rounds: {[dict(run._mapping) for run in world.runs()]}")


def _is_over(world: World) -> bool:
    with world.risk.read() as connection:
        still_open = connection.execute(select(risk.run_batches).where(risk.run_batches.c.state.in_(OPEN)))
        return all(run.state in FINISHED for run in world.runs()) and not still_open.all()
