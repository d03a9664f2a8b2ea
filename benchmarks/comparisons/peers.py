"""Other task queues on the same SQS doing the same work, and SmartRecover in the same run: `make bench-peers`.

Each library's worker selects, scores, upserts and commits a hundred debtors a message. None of them ranks, records
who was decided twice, or proves anything; SmartRecover does all that it always does.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
from tests.support.processes import start, stop

from benchmarks.measure import Figure
from benchmarks.system import NotMeasurableError, System, running_system
from benchmarks.whole_system.end_to_end import PORTFOLIO, one_run

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).resolve().parent / "peer_apps"
BATCH_SIZE = 100
QUEUE = "peer-work"
PATIENCE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, its module among the apps, and the command that starts its worker, with two at work at once."""

    name: str
    module: str
    worker: tuple[str, ...]


PEERS = (
    Peer("taskiq-aio-sqs", "taskiq_app", ("taskiq", "worker", "taskiq_app:broker", "--workers", "1")),
    Peer("celery", "celery_app", ("python", "celery_app.py")),
    Peer("dramatiq", "dramatiq_app", ("dramatiq", "dramatiq_app", "--processes", "1", "--threads", "2")),
)


def measure(database: str, debtors: int, repeats: int, environment: Path) -> Iterator[Figure]:
    """Debtors a second of each library, and of SmartRecover, over one portfolio; `environment` has the libraries."""
    programs = environment / "bin"
    if not (programs / "taskiq").exists():
        raise NotMeasurableError(f"the other libraries are not in {environment}: start this by `make bench-peers`")
    with TemporaryDirectory(prefix="smartrecover-bench-") as name, running_system(Path(name), database) as system:
        system.generate(debtors, PORTFOLIO)
        one_run(system, BATCH_SIZE)
        ours = [one_run(system, BATCH_SIZE) for _ in range(repeats)]
        ours_first = tuple(one.debtors / one.decided for one in ours)
        peers = [_figure(peer, database, debtors, _rates(peer, system, programs, repeats)) for peer in PEERS]
        again = [one_run(system, BATCH_SIZE) for _ in range(repeats)]
    rates = (*ours_first, *(one.debtors / one.decided for one in again))
    mine = Figure(
        "peers", f"SmartRecover, {database}, {debtors:,} debtors, batches of {BATCH_SIZE}", "debtors/s", rates
    )
    yield mine
    for figure in peers:
        notes = {"SmartRecover": f"x {mine.median / figure.median:.2f}"}
        yield Figure(figure.benchmark, figure.case, figure.unit, figure.values, notes)


def _figure(peer: Peer, database: str, debtors: int, values: tuple[float, ...]) -> Figure:
    return Figure("peers", f"{peer.name}, {database}, {debtors:,} debtors, {BATCH_SIZE} a message", "debtors/s", values)


def _rates(peer: Peer, system: System, programs: Path, repeats: int) -> tuple[float, ...]:
    environment = {**system.environment, "PYTHONPATH": str(ROOT / "libs"), "AWS_DEFAULT_REGION": "us-east-1"}
    with _queue(environment), _worker(peer, programs, environment, system.folder):
        produced = subprocess.run(
            [programs / "python", "produce.py", peer.module, str(repeats)],
            cwd=APPS,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    if produced.returncode:
        log = (system.folder / f"{peer.module}.log").read_text(errors="replace")
        raise NotMeasurableError(f"{peer.name}: {produced.stderr.strip()[-500:]}\n{log[-500:]}")
    return tuple(map(float, produced.stdout.split()))[-repeats:]


@contextmanager
def _queue(environment: Mapping[str, str]) -> Iterator[None]:
    """The peers' queue, made for one of them and deleted after it, so that nothing is left over for the next."""
    session = boto3.Session("local", "local", region_name=environment["AWS_REGION"])
    with closing(session.client("sqs", endpoint_url=environment["AWS_ENDPOINT_URL_SQS"])) as sqs:
        url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        sqs.create_queue(QueueName=f"{QUEUE}_dlq")
        yield
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def _worker(peer: Peer, programs: Path, environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    with ExitStack() as cleanup:
        log = cleanup.enter_context((folder / f"{peer.module}.log").open("wb"))
        command = (str(programs / peer.worker[0]), *peer.worker[1:])
        process = start(command, env=environment, cwd=APPS, stdout=log, stderr=log)
        cleanup.callback(stop, process)
        time.sleep(3)  # until it polls; the producer's first round warms it up
        if process.poll() is not None:
            raise NotMeasurableError(f"{peer.name}: its worker ended")
        yield
