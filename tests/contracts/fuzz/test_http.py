"""Both APIs against schemathesis: what their OpenAPI documents promise is true for every request it can think of.

No response is a 5xx, undocumented or of another shape than promised; what breaks the schema is rejected and what keeps
it is not. `FUZZ_EFFORT=20` tries twenty times as much, `FUZZ_SEED=7` tries other things.
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.contracts.conftest import EFFORT
from tests.contracts.fuzz.living import Living, debt_api, risk_api
from tests.support.processes import environment

Serving = Callable[..., AbstractContextManager[Living]]
EXAMPLES = 8


@pytest.mark.timeout(120 + 600 * EFFORT.factor)
@pytest.mark.parametrize("serving", [risk_api, debt_api])
def test_an_api_keeps_what_its_document_promises(serving: Serving, tmp_path: Path, sqs_url: str) -> None:
    with serving(tmp_path, sqs_url) as api:
        code, said = fuzz(api, tmp_path, EXAMPLES)

    assert code == 0, said
    assert_nothing_failed(api)


@pytest.mark.timeout(120 + 600 * EFFORT.factor)
@pytest.mark.parametrize(("serving", "role"), [(risk_api, "operator"), (debt_api, "viewer")])
def test_an_api_behind_keys_keeps_it_too(serving: Serving, role: str, tmp_path: Path, sqs_url: str) -> None:
    with serving(tmp_path, sqs_url, role) as api:
        code, said = fuzz(api, tmp_path, EXAMPLES // 2, "--phases", "coverage,fuzzing")

    assert code == 0, said
    assert_nothing_failed(api)


def fuzz(api: Living, folder: Path, examples: int, *options: str) -> tuple[int, str]:
    """Let schemathesis loose on an API; its exit code and what it said."""
    config = folder / "schemathesis.toml"
    config.write_text(_config(api))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{api.url}/openapi.json"),
        *("--max-examples", str(EFFORT.examples(examples)), "--seed", str(EFFORT.seed)),
        *("--continue-on-failure", "--no-color", *options),
    ]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    print(done.stdout)
    return done.returncode, done.stdout[-20_000:] + done.stderr[-5_000:]


def assert_nothing_failed(api: Living) -> None:
    log = api.log.read_text()
    assert "Traceback" not in log, log[-5_000:]
    assert "http.request.failed" not in log


def _config(api: Living) -> str:
    dictionaries = "".join(f"[dictionaries.{name}]\nvalues = {values}\n" for name, values in api.ids.items())
    known = "".join(f'"path.{name}" = {{dictionary = "{name}", probability = 0.8}}\n' for name in api.ids)
    auth = f'[auth.openapi.bearer]\nbearer = "{api.token}"\n' if api.token else ""
    hooks = Path(__file__).with_name("schema_hooks.py")
    return _CONFIG.format(dictionaries=dictionaries, known=known, hooks=hooks) + auth


_CONFIG = """\
hooks = "{hooks}"
request-timeout = 30
max-stream-events = 1
{dictionaries}
[parameters]
{known}
[generation]
database = "none"
allow-x00 = false
[checks]
max_response_time = 20
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 304, 401, 403, 404, 409, 412]
[phases.stateful]
max-steps = 5
"""
