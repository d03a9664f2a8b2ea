"""What may happen in the world, and how often: chance decides who does it, and whether it is cut off in the middle."""

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st
from tests.contracts.stateful.feeding import hear, say
from tests.contracts.stateful.forging import forged_reports
from tests.contracts.stateful.people import PERSONS, REGISTRY
from tests.contracts.stateful.world import RESEND_AFTER, Dispatcher, World

from recovery_core.messages.results import encode_results
from risk_assessment.runs.service import RunFinishedError, cancel
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from service_kit.worker.leader_lease import LeaseLostError

MAX_RUNS = 4

some_debtors = st.fixed_dictionaries(
    {
        "total_debt_amount": st.sampled_from(["0.01", "500.00", "5000.00", "80000.00"]),
        "late_payments_count": st.sampled_from([0, 9]),
        "payment_status": st.sampled_from(["UNPAID", "UNPAID", "PARTIAL", "PAID"]),
        "family_situation": st.sampled_from([None, "WIDOWED_WITH_DEPENDENTS"]),  # without it, `classic` cannot score
        "person_ref": st.sampled_from([None, None, *PERSONS]),
    }
)
wishes = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 3), "threshold": st.sampled_from(["0", "500000.00", "92233720368547758.07"])},
    optional={
        "limit": st.integers(1, 6),
        "unit": st.sampled_from(["person", "account"]),
        "policy": st.sampled_from(["standard", "classic"]),
        "filters": st.sampled_from([{"min_debt": "500.00"}, {"risk_level": ["HIGH", "CRITICAL"]}]),
    },
)
# As often as each comes, so that most runs get somewhere before something goes wrong.
STEPS = {
    "change_portfolio": 2,
    "place_hold": 2,
    "end_hold": 1,
    "import_file": 2,
    "activate": 1,
    "score_again": 2,
    "say_stops": 6,
    "hear_stops": 8,
    "start_run": 1,
    "cancel": 1,
    "redrive": 2,
    "wait": 3,
    "take_lease": 1,
    "plan": 4,
    "publish": 9,
    "go_on": 2,
    "work": 9,
    "report": 5,
    "read_report": 7,
    "forge": 2,
    "lose": 2,
}
step_names = st.sampled_from([name for name, times in STEPS.items() for _ in range(times)])


class Story:
    """The steps by their names, each with its own chance."""

    def __init__(self, world: World) -> None:
        self.world = world

    # People

    def change_portfolio(self, chance: Random) -> None:
        ids = self.world.debtor_ids()
        how = chance.choice(["add", "change", "remove"])
        if how == "add" or not ids:
            self.world.people.add(_a_debtor(chance))
        elif how == "change":
            self.world.people.change(chance.choice(ids), _a_debtor(chance))
        else:
            self.world.people.remove(chance.choice(ids))

    def place_hold(self, chance: Random) -> None:
        if ids := self.world.debtor_ids():
            self.world.people.place_hold(chance, chance.choice(ids))

    def import_file(self, chance: Random) -> None:
        self.world.people.import_file(chance)

    def activate(self, chance: Random) -> None:
        self.world.people.activate(chance.choice(["standard", "classic"]))

    def end_hold(self, chance: Random) -> None:
        self.world.people.end_hold(chance)

    def start_run(self, chance: Random) -> None:
        if len(self.world.runs()) < MAX_RUNS:
            self.world.start({"batch_size": chance.randint(1, 4), "policy": chance.choice(["standard", "classic"])})

    def cancel(self, chance: Random) -> None:
        run = chance.choice(self.world.runs())
        if chance.random() < 0.7:
            return
        try:
            self.world.risk.transact(lambda c: cancel(c, run.id, self.world.now))
        except RunFinishedError:
            assert run.state == "completed"

    def redrive(self, chance: Random) -> None:
        if self.world.dead_letters.bodies:
            self.world.batches.bodies.append(self.world.dead_letters.take(chance, stays=False))

    def wait(self, chance: Random) -> None:
        self.world.now += timedelta(seconds=chance.choice([0.1, 1, 1, 4, 4, 100]) * RESEND_AFTER)

    # Dispatchers

    def take_lease(self, chance: Random) -> None:
        self.world.take_lease(chance.choice(self.world.dispatchers))

    def plan(self, chance: Random) -> None:
        """Plan the next run; or die when the plan writes for the n-th time; or be overtaken in the midst of it."""
        one, other = chance.sample(self.world.dispatchers, 2)
        if chance.random() < 0.3:
            self.world.take_lease(one)
            self.world.plan(one, overtaken_by=other)
        else:
            self.world.plan(self._one(chance), dies_at=chance.choice([None, None, 1, 2, 3, 4]))

    def publish(self, chance: Random) -> None:
        """Build the messages of what is next, or of what was lost; send them; mark them; or stop in between."""
        dispatcher = self._one(chance)
        stops_after = chance.choice(["mark", "mark", "mark", "send", "build"])
        (self.world.look_for_lost if chance.random() < 0.4 else self.world.build)(dispatcher)
        if stops_after != "build":
            self.world.send(dispatcher, chance.choice([0.0, 0.0, 0.5]), chance)
            if stops_after != "send":
                self.world.mark(dispatcher)

    def go_on(self, chance: Random) -> None:
        """One that had stopped goes on where it was, however much has happened since."""
        dispatcher = self._one(chance)
        self.world.send(dispatcher, 0.0, chance)
        self.world.mark(dispatcher)

    def score_again(self, chance: Random) -> None:
        """Score the next few debtors under the policy that was activated."""
        with self.world.risk.read() as connection:
            job = scoring_jobs.next_job(connection)
            scorer = REGISTRY.scorer(connection, job.policy_id) if job else None
        if job is not None and scorer is not None:
            with contextlib.suppress(LeaseLostError):
                write = self._one(chance).lease.write
                write(lambda c: rescoring.score_chunk(c, job, scorer, self.world.now))

    def say_stops(self, chance: Random) -> None:
        say(self._one(chance).sender)

    # Consumers

    def hear_stops(self, chance: Random) -> None:
        """Take in stretches of the feed, in any order, some of them again; say so, or end before."""
        stays = chance.random() < 0.3
        count = min(chance.randint(1, 4), len(self.world.stops.bodies))
        bodies = [self.world.stops.take(chance, stays=stays) for _ in range(count)]
        hear(self.world.debt, self.world.risk, bodies, self.world.now, acknowledge=chance.random() < 0.7)

    def work(self, chance: Random) -> None:
        """Process messages; or die before they are recorded; or find that they can never be processed."""
        how = chance.choice(["together", "together", "alone", "alone", "not recorded", "poison"])
        stays = chance.random() < 0.3
        count = min(chance.randint(1, 4), len(self.world.batches.bodies))
        self.world.process([self.world.batches.take(chance, stays=stays) for _ in range(count)], how)

    def report(self, chance: Random) -> None:
        count = chance.randint(1, 4)
        out, self.world.unreported = self.world.unreported[:count], self.world.unreported[count:]
        if out:
            self.world.reports.bodies.append(encode_results(out).decode())

    def read_report(self, chance: Random) -> None:
        if self.world.reports.bodies:
            self.world.read_reports([self.world.reports.take(chance, stays=chance.random() < 0.3)])

    # Others

    def forge(self, chance: Random) -> None:
        """Someone who can write to the queue, and does not know the messages, reports that batches are done."""
        body = forged_reports(self.world, chance)
        self.world.reports.bodies.append(body)
        self.world.forged.add(body)

    # What is lost

    def lose(self, chance: Random) -> None:
        """A message, what a consumer has recorded and not yet reported, or all that is in the queues."""
        what = chance.choice(["batch", "batch", "report", "stops", "stops", "consumer", "queues"])
        if what == "consumer":
            self.world.unreported = []
        elif what == "queues":
            for wire in (self.world.batches, self.world.reports, self.world.stops):
                wire.bodies.clear()
        else:
            wires = {"batch": self.world.batches, "report": self.world.reports, "stops": self.world.stops}
            wire = wires[what]
            if wire.bodies:
                wire.take(chance, stays=False)

    def _one(self, chance: Random) -> Dispatcher:
        """The holder of the lease, mostly; or one that may have lost it without knowing."""
        return self.world.holder if chance.random() < 0.8 else chance.choice(self.world.dispatchers)


def _a_debtor(chance: Random) -> dict[str, Any]:
    return {
        "total_debt_amount": chance.choice(["0.01", "500.00", "80000.00"]),
        "payment_status": chance.choice(["UNPAID", "UNPAID", "PAID"]),
        "family_situation": chance.choice([None, "WIDOWED_WITH_DEPENDENTS"]),
        "person_ref": chance.choice([None, *PERSONS]),
    }
