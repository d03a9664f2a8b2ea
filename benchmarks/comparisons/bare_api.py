"""The bare way to answer: a FastAPI route with one `SELECT`, and one that inserts two rows in one transaction.

It reads and writes the tables of the risk service with the same driver, pool and durability. Nothing is authenticated,
limited, scored, audited or logged, and no request has an id, a deadline or an idempotency key. uvicorn serves it as it
comes; with `one_core` the process keeps to one core at a time, as ours does.
"""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import bindparam, create_engine, event, insert, select

from benchmarks.system import NotMeasurableError
from risk_assessment.debtors.tables import assessments, debtors
from service_kit.clock import utc_now
from service_kit.http.serving.cpu_affinity import stay_on_one_core
from smartrecover.stack import free_port

POOL = 16
ONE = select(debtors).where(debtors.c.id == bindparam("wanted"))
INSERT, INSERT_ASSESSMENT = insert(debtors), insert(assessments)
SCORED = {"total_score": 50, "risk_level": "MEDIUM", "priority": 1_663_358, "policy_id": 1}
PROFILE = (
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
    "payment_status",
)


class NewDebtor(BaseModel):
    """A debtor to insert; amounts in cents."""

    portfolio: str
    name: str
    total_debt_amount: int
    monthly_income: int
    late_payments_count: int
    employment_status: str
    contract_type: str
    industry_sector: str
    payment_status: str = "UNPAID"


def bare_api(url: str, *, one_core: bool) -> FastAPI:
    """Build the API on a database that has the risk service's schema."""
    engine = create_engine(url, pool_size=POOL, max_overflow=0)
    # SQLite has one writer; without this lock each of several threads would poll for it, and lose more than half.
    turn = threading.Lock()
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        staying = asyncio.create_task(stay_on_one_core()) if one_core else None
        yield
        if staying is not None:
            staying.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/debtors/{debtor_id}")
    def read(debtor_id: int) -> dict[str, Any]:
        with engine.connect() as connection:
            return dict(connection.execute(ONE, {"wanted": debtor_id}).mappings().one())

    @app.post("/debtors", status_code=201)
    def create(body: NewDebtor) -> dict[str, Any]:
        now = utc_now()
        row = body.model_dump() | SCORED | {"created_at": now, "updated_at": now, "version": 1, "assessed_at": now}
        with turn, engine.begin() as connection:
            row["id"] = connection.execute(INSERT, row).lastrowid
            assessed = {name: row[name] for name in (*PROFILE, *SCORED, "version", "assessed_at")}
            connection.execute(INSERT_ASSESSMENT, assessed | {"debtor_id": row["id"]})
        return row

    return app


@contextmanager
def bare_server(environment: Mapping[str, str], *, one_core: bool) -> Iterator[tuple[int, int]]:
    """Serve the API from a process of its own; yield its port and its process id."""
    port = free_port()
    arguments = (sys.executable, "-m", __name__, environment["RISK_DATABASE_URL"], str(port), str(one_core))
    process = subprocess.Popen(arguments, env=environment)
    try:
        while not _responds(port):
            if process.poll() is not None:
                raise NotMeasurableError("the bare API ended; its output says why")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _responds(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/openapi.json").is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    database, given_port, given_one_core = sys.argv[1:]
    api = bare_api(database, one_core=given_one_core == "True")
    uvicorn.run(api, host="127.0.0.1", port=int(given_port), access_log=False, log_level="warning")
