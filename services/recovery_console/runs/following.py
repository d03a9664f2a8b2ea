"""A run that is watched: its page again at each change, as server-sent events, until it is over.

The console follows the events of the risk service and the report of the debt service while a page is open. When one of
them does not answer, the page says so, and goes on by itself once it does.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import orjson

from recovery_client import risk
from recovery_client.errors import ClientError, RejectedError
from recovery_client.run_shapes import Run
from recovery_console.dependencies import Visit
from recovery_console.failures import Away, SignInNeededError, away_of, failure_of
from recovery_console.runs.progress import OVER, Findings, progress
from recovery_console.runs.reading import findings_on

LOOK_SECONDS = 1.0  # a page changes at most so often
RETRY_SECONDS = 1.0
HEARTBEAT_LOOKS = 15
STRETCHES_A_LOOK = 200
"""Of a run whose batches are in more stretches than this, where they are is asked less often, in proportion."""
MAX_RESTING_LOOKS = 60
OVER_EVENT = "event: over\ndata: \n\n"
HEARTBEAT = ": still here\n\n"
SIGN_IN_AGAIN = "Your sign-in is no longer accepted. Load the page again to sign in."
_TOO_MANY = 429

Stopped = Callable[[], bool]


@dataclass(slots=True)
class Watch:
    """The last that was heard of a run. `away` is a service that does not answer, `refused` why nothing more comes."""

    visit: Visit
    run_id: str
    run: Run | None = None
    away: Away | None = None
    refused: str | None = None
    findings: Findings = field(default_factory=Findings)
    resting_looks: int = 0
    """So many looks do not ask where the batches are."""

    @property
    def has_ended(self) -> bool:
        """Whether the risk service has no more to say."""
        return self.refused is not None or (self.run is not None and self.run["state"] in OVER)

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more, the report of the debt service included."""
        nothing_to_come = self.away is None and self.findings.away is None and not self._is_still_worked
        return self.has_ended and (self.refused is not None or nothing_to_come)

    @property
    def _is_still_worked(self) -> bool:
        """Whether a run that was cancelled has batches under way: its events have ended, and its counts go on."""
        return self.run is not None and any(lane["sent"] for lane in self.run["batches_by_lane"].values())

    async def look(self) -> None:
        """Ask what the debt service knows now. While it does not answer, what it said last still holds."""
        if self.run is None or self.refused is not None:
            return
        try:
            self.run = await self._counted(self.run)
            found = await findings_on(self.visit, self.run, with_batches=self._asks_for_batches())
        except ClientError as error:
            self.note(error)
        else:
            batches = found.batches or self.findings.batches
            self.findings = replace(self.findings if found.away else found, away=found.away, batches=batches)
            if found.batches is not None:
                self.resting_looks = min(len(found.batches) // STRETCHES_A_LOOK, MAX_RESTING_LOOKS)

    def _asks_for_batches(self) -> bool:
        """Return whether this look asks where the batches are. The last look at a run always does."""
        if self.has_ended or not self.resting_looks:
            return True
        self.resting_looks -= 1
        return False

    async def _counted(self, run: Run) -> Run:
        """Return the run with its counts as they are now, where no event says so any more."""
        if not (self.has_ended and self._is_still_worked):
            return run
        counted: Run = await self.visit.ask(risk.run(self.run_id))
        self.away = None
        return counted

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen to the events of the run in a task while the block runs."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def note(self, error: ClientError) -> None:
        """Record why there was no answer: for now, or for good."""
        self.away = away_of(error)
        if self.away is None and isinstance(error, RejectedError) and error.status == _TOO_MANY:
            self.away = Away(error.service, failure_of(error).text)
        elif self.away is None:
            self.refused = _refusal(error)

    async def _listen(self) -> None:
        while not self.has_ended:
            try:
                await self._take_events()
            except ClientError as error:
                self.note(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _take_events(self) -> None:
        client, credential = self.visit.resources.client, self.visit.caller.credential
        async with aclosing(client.events(risk.run_events(self.run_id), credential)) as events:
            async for event in events:
                self.away = None
                if event is not None and event.name == "run":
                    self.run = orjson.loads(event.data)


async def follow(visit: Visit, run_id: str, stopped: Stopped) -> AsyncIterator[str]:
    """Yield events: the run as HTML whenever it has changed, and `over` when it will not change any more."""
    watch, shown, quiet = Watch(visit, run_id), "", 0
    async with watch.listening():
        while not stopped():
            ended = watch.has_ended  # before the look: a report from before the end is not the last one
            await watch.look()
            html, final = _html(watch), ended and watch.is_final
            if html not in ("", shown):
                shown, quiet = html, 0
                yield as_event(html)
            if final:
                yield OVER_EVENT
                return
            quiet += 1
            if quiet % HEARTBEAT_LOOKS == 0:
                yield HEARTBEAT
            await asyncio.sleep(LOOK_SECONDS)


def as_event(html: str) -> str:
    """Return HTML as one server-sent event without a name, which htmx shows in place of what is there."""
    return "".join(f"data: {line}\n" for line in html.splitlines() if line.strip()) + "\n"


def _html(watch: Watch) -> str:
    """Return the run as it is now; nothing while nothing is known of it."""
    if watch.run is None and watch.refused is None:
        return ""
    templates, reader = watch.visit.resources.templates, watch.visit.reader
    view = progress(watch.run, watch.findings, reader) if watch.run is not None else None
    values = {"view": view, "away": watch.away or watch.findings.away, "refused": watch.refused, "live": True}
    return templates.render("runs/_run.html", visit=watch.visit, reader=reader, **values)


def _refusal(error: ClientError) -> str:
    try:
        return failure_of(error).text
    except SignInNeededError:
        return SIGN_IN_AGAIN
