"""The system that names go into, with the risk service on each kind of database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.contracts.personal_data.recorder import recording
from tests.contracts.personal_data.system import System
from tests.support.processes import environment, free_port, serving

from service_kit.database.migrations import upgrade


@pytest.fixture(params=["sqlite", "mariadb"])
def risk_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mariadb":
        return str(request.getfixturevalue("mariadb_url"))
    return f"sqlite:///{tmp_path / 'risk.db'}"


@pytest.fixture
def system(risk_url: str, tmp_path: Path, sqs_url: str, queue_names: Callable[[str], str]) -> Iterator[System]:
    debt_url = f"sqlite:///{tmp_path / 'debt.db'}"
    upgrade(risk_url, "risk_assessment")
    upgrade(debt_url, "debt_processing")
    risk, debt, dispatch, consume = ports = tuple(free_port() for _ in range(4))
    with ExitStack() as stack:
        sqs = stack.enter_context(recording(httpx.URL(sqs_url).port or 0))
        settings = {
            "RISK_DATABASE_URL": risk_url,
            "DEBT_DATABASE_URL": debt_url,
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{sqs.port}",
            "RECOVERY_CREATE_QUEUES": "true",
            "RECOVERY_LOG_LEVEL": "debug",
            "DEBT_WAIT_SECONDS": "1",
            "DEBT_RETRY_SECONDS": "0",
            "RISK_METRICS_PORT": str(dispatch),
            "DEBT_METRICS_PORT": str(consume),
            **{
                f"RECOVERY_QUEUE_{role.upper()}": queue_names(role) for role in ("high", "standard", "results", "stops")
            },
        }
        for package, command, port in (
            ("risk_assessment", ("serve", "--port", str(risk)), risk),
            ("debt_processing", ("serve", "--port", str(debt)), debt),
            ("risk_assessment", ("dispatch",), dispatch),
            ("debt_processing", ("consume",), consume),
        ):
            log = tmp_path / f"{package}-{command[0]}.log"
            env = environment(**settings)
            stack.enter_context(serving(package, *command, port=port, log=log, cwd=tmp_path, env=env))
        yield System(
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{risk}/risk-service", timeout=60)),
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{debt}/debt-service", timeout=60)),
            settings,
            tmp_path,
            sqs,
            ports,
        )
