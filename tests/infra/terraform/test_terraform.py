"""Terraform for AWS: formed, valid, tried against a mocked AWS, locked down, and in words that the programs understand.

No AWS account is needed. Without Terraform and its AWS provider on the machine, what needs them is skipped, loudly.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pymysql
import pytest
import typer
from tests.support.servers import MariaDb, moto_server

from debt_processing.settings import Settings as DebtSettings
from risk_assessment.settings import Settings as RiskSettings
from service_kit.http.server import KEEP_ALIVE_SECONDS
from service_kit.lifecycle import STOP_SECONDS
from service_kit.observability.metrics import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
AWS = ROOT / "infra/aws"
OPERATIONS = ROOT / "docs/operations.md"

SETTINGS = {"risk-api": RiskSettings, "dispatcher": RiskSettings, "debt-api": DebtSettings, "consumer": DebtSettings}
APIS = {"risk-api": "risk_host", "debt-api": "debt_host"}
JOBS = {"migrate-risk", "migrate-debt", "prepare-risk", "prepare-debt"}
# Read by others than our settings: uvicorn, Python's tempfile, and the script of the tasks `prepare-…`.
OTHER_VARIABLES = {"FORWARDED_ALLOW_IPS", "TMPDIR", "MASTER_USERNAME", "MASTER_PASSWORD"}
ALARMS = {
    "dispatcher-gone",
    "consumers-gone",
    "api-gone",
    "api-errors",
    "api-slow",
    "batches-dead",
    "runs-stalled",
    "batches-failing",
    "debtors-failing",
    "scores-differ",
    "batches-slow",
    "batches-redelivered",
    "leases-lost",
    "dependency-unsteady",
    "pool-exhausted",
    "database-full",
    "queue-old",
}
METRICS_OF = ("risk_assessment.app", "risk_assessment.worker", "debt_processing.app", "debt_processing.worker")
# What each method of the SQS client asks of SQS, as IAM calls it. Every call first looks up the queue's URL.
ASKS = {
    "send": {"sqs:SendMessage"},
    "receive": {"sqs:ReceiveMessage"},
    "delete": {"sqs:DeleteMessage"},
    "change_visibility": {"sqs:ChangeMessageVisibility"},
    "depth": {"sqs:GetQueueAttributes"},
    "ping": {"sqs:GetQueueAttributes"},
}

Json = dict[str, Any]
each_example = pytest.mark.parametrize("example", ["production", "trial"])
each_process = pytest.mark.parametrize("process", sorted(SETTINGS))
slow = pytest.mark.timeout(600)


# --- Terraform, where it is ---


def plugins() -> Path | None:
    """The folder of providers that holds the AWS provider, found by name: nothing can be fetched everywhere."""
    given = os.environ.get("TEST_TERRAFORM_PLUGINS")
    roots = [Path(given)] if given else [Path.home() / ".terraform.d", *map(Path, ("/opt", "/usr/local", "/usr/share"))]
    for root in roots:
        for depth in ("", "*/", "*/*/", "*/*/*/"):
            for found in root.glob(f"{depth}*/hashicorp/aws/5.*/*/terraform-provider-aws_v5*"):
                return found.parents[5]
    return None


class Terraform:
    """Terraform on a copy of infra/aws, so that nothing of its own gets into the checkout."""

    def __init__(self, folder: Path, program: str, providers: Path) -> None:
        self.folder, self._program, self._providers = folder, program, providers

    def run(self, *arguments: str, within: float = 300, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Run it; return its exit code and what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        environment |= {
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_DATA_DIR": str(self.folder.parent / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **(env or {}),
        }
        done = subprocess.run(
            [self._program, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )
        return done.returncode, done.stdout + done.stderr

    def init(self) -> None:
        code, said = self.run("init", "-backend=false", "-input=false", "-no-color", f"-plugin-dir={self._providers}")
        assert code == 0, said


def found_terraform(folder: Path) -> Terraform:
    program, providers = shutil.which("terraform"), plugins()
    if program is None:
        pytest.skip("no terraform on this machine: nothing but this file's own reading has judged infra/aws")
    if providers is None:
        pytest.skip("no AWS provider of version 5 on this machine: Terraform cannot judge infra/aws")
    return Terraform(folder, program, providers)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time: the workers of a test run share what takes Terraform long."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "terraform"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def terraform(shared: Path) -> Terraform:
    found = found_terraform(shared / "aws")
    with locked(shared / "lock"):
        if not found.folder.exists():
            shutil.copytree(AWS, found.folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
            found.init()
    return found


@pytest.fixture
def system(terraform: Terraform, shared: Path, example: str) -> Json:
    """The state that an example's values lead to on a mocked AWS; tests/system.tftest.hcl has to pass for that."""
    kept = shared / f"{example}.json"
    with locked(shared / f"lock-{example}"):
        if not kept.exists():
            kept.write_text(json.dumps(applied(terraform, example)), encoding="utf-8")
    state: Json = json.loads(kept.read_text(encoding="utf-8"))
    assert "failure" not in state, state["failure"]
    return state


def applied(terraform: Terraform, example: str) -> Json:
    only = "-filter=tests/system.tftest.hcl"
    code, said = terraform.run("test", only, f"-var-file={example}.tfvars", "-json", "-verbose")
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    if code != 0:
        return {"failure": "\n".join(str(line.get("diagnostic", line["@message"])) for line in events)}
    (state,) = [line["test_state"] for line in events if line["type"] == "test_state"]
    return {"outputs": {k: v["value"] for k, v in state["outputs"].items()}, "resources": list(resources(state))}


def resources(state: Json) -> Iterator[Json]:
    modules = [state["root_module"]]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        yield from (
            {"type": each["type"], "address": each["address"], "values": each["values"]}
            for each in module.get("resources", [])
        )


def of_type(system: Json, kind: str) -> list[Json]:
    return [each["values"] for each in system["resources"] if each["type"] == kind]


def text_of(*modules: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for module in modules for path in sorted((AWS / module).glob("*.tf"))
    )


# --- Terraform's own judgement ---


def test_it_is_in_terraforms_own_form(terraform):
    code, said = terraform.run("fmt", "-check", "-recursive", "-diff", "-no-color")

    assert code == 0, said


@slow
def test_it_is_valid(terraform):
    code, said = terraform.run("validate", "-no-color")

    assert code == 0, said


@slow
def test_its_own_tests_pass(terraform):
    names = sorted(path.name for path in (AWS / "tests").glob("*.tftest.hcl"))
    others = [
        f"-filter=tests/{name}" for name in names if name != "system.tftest.hcl"
    ]  # that one is run for each example

    code, said = terraform.run("test", "-no-color", *others, "-var-file=production.tfvars")

    assert code == 0, said
    assert re.search(r"Success! [1-9]\d* passed, 0 failed", said), said


# --- What runs ---


def environment_of(container: Json) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["environment"]}


def secrets_of(container: Json) -> dict[str, str]:
    return {secret["name"]: secret["valueFrom"] for secret in container["secrets"]}


@slow
@each_example
def test_the_whole_system_is_there(system):
    assert set(system["outputs"]["containers"]) == set(SETTINGS) | JOBS
    tasks = [json.loads(task["container_definitions"]) for task in of_type(system, "aws_ecs_task_definition")]
    assert sorted(container["name"] for (container,) in tasks) == sorted(system["outputs"]["containers"])
    assert {service["name"] for service in of_type(system, "aws_ecs_service")} == set(SETTINGS)


def test_every_variable_is_one_that_somebody_reads():
    known = {field.upper() for kind in (RiskSettings, DebtSettings) for field in kind.model_fields} | OTHER_VARIABLES
    named = set(re.findall(r"^\s+([A-Z][A-Z0-9_]+)\s*=", text_of("modules/services"), re.MULTILINE))

    assert {"RECOVERY_AUTH", "RISK_HOST", "DEBT_PREFETCH"} <= named
    assert named - known == set()


@slow
@each_process
@each_example
def test_a_process_reads_every_variable_and_understands_it(system, process, monkeypatch):
    for field in SETTINGS[process].model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    container = system["outputs"]["containers"][process]
    for variable, value in environment_of(container).items():
        monkeypatch.setenv(variable, value)

    settings = SETTINGS[process](_env_file=None)

    fields = {field.upper() for field in SETTINGS[process].model_fields}
    assert set(environment_of(container)) - fields - OTHER_VARIABLES == set()
    assert settings.recovery_create_queues is False
    if process in APIS:
        settings.refuse_open_doors(getattr(settings, APIS[process]))


@slow
@each_example
def test_the_queues_that_a_process_is_told_are_the_ones_that_are_made(system):
    made = {queue["name"] for queue in of_type(system, "aws_sqs_queue")}
    for process in SETTINGS:
        variables = environment_of(system["outputs"]["containers"][process])
        queues = {variables[f"RECOVERY_QUEUE_{which}"] for which in ("HIGH", "STANDARD", "RESULTS")}

        assert queues | {f"{queue}-dlq" for queue in queues} == made


@slow
@each_example
def test_a_process_knows_its_own_database_only(system):
    for name, container in system["outputs"]["containers"].items():
        own = "RISK" if name in {"risk-api", "dispatcher"} or name.endswith("-risk") else "DEBT"
        masters = {"MASTER_USERNAME", "MASTER_PASSWORD"} if name.startswith("prepare-") else set()

        assert set(secrets_of(container)) == {f"{own}_DATABASE_URL"} | masters, name


@slow
@each_example
def test_a_process_is_a_command_that_exists(system):
    for name, container in system["outputs"]["containers"].items():
        program, command, *_ = container["command"]
        if not name.startswith("prepare-"):
            app = import_module(f"{program.replace('-', '_')}.__main__").app
            assert command in typer.main.get_command(app).commands, name


@slow
@each_example
def test_a_process_is_asked_for_its_health_where_it_answers(system):
    for process in SETTINGS:
        container = system["outputs"]["containers"][process]
        variables = environment_of(container)
        _, program, port, path = container["healthCheck"]["command"]
        metrics = variables.get("RISK_METRICS_PORT") or variables.get("DEBT_METRICS_PORT")

        assert program == "healthcheck"
        assert (port, path) == (
            (metrics, "/metrics") if metrics else (variables[f"{process[:4].upper()}_PORT"], "/healthz")
        )
        assert [str(mapped["containerPort"]) for mapped in container["portMappings"]] == ([] if metrics else [port])


@slow
@each_example
def test_a_process_is_given_longer_to_stop_than_it_needs(system):
    assert all(container["stopTimeout"] > STOP_SECONDS for container in system["outputs"]["containers"].values())


@slow
@each_example
def test_the_load_balancer_keeps_a_connection_for_less_long_than_the_apis(system):
    (balancer,) = of_type(system, "aws_lb")

    assert balancer["idle_timeout"] < KEEP_ALIVE_SECONDS


@slow
@each_example
def test_where_a_process_may_write_is_declared_by_the_image(system):
    declared = re.search(r"^VOLUME (\[.*\])$", (AWS / "image/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared
    for name, container in system["outputs"]["containers"].items():
        paths = {mount["containerPath"] for mount in container["mountPoints"]}

        assert "/tmp" in paths <= set(json.loads(declared[1])), name
        assert environment_of(container).get("TMPDIR", "/tmp") in paths, name


# --- Who may do what ---


def asked_by(package: str) -> set[str]:
    """What a service's code asks of SQS."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / package).rglob("*.py"))
    methods = set(re.findall(r"\b_?sqs\.(\w+)\(", sources)) & set(ASKS)
    return {"sqs:GetQueueUrl"}.union(*(ASKS[method] for method in methods))


@slow
@each_example
@pytest.mark.parametrize(
    ("package", "processes"),
    [("risk_assessment", {"risk-api", "dispatcher"}), ("debt_processing", {"debt-api", "consumer"})],
)
def test_a_service_may_do_in_sqs_what_its_code_does_and_nothing_else(system, package, processes):
    allowed = {
        action
        for process in processes
        for statement in system["outputs"]["policies"][process]
        for action in statement["Action"]
        if action.startswith("sqs:")
    }

    assert allowed == asked_by(package)


def test_no_method_of_our_client_was_forgotten_above():
    public = re.findall(
        r"^    async def ([a-z]\w*)\(", (ROOT / "libs/service_kit/sqs/client.py").read_text(), re.MULTILINE
    )

    assert set(public) - {"ensure_queues"} == set(ASKS)


@slow
@each_example
def test_a_task_is_started_by_a_role_that_reads_no_more_than_its_secrets(system):
    starts = {policy["role"]: policy for policy in of_type(system, "aws_iam_role_policy") if policy["name"] == "start"}
    statements = [json.loads(policy["policy"])["Statement"] for policy in starts.values()]
    reads = [s["Resource"] for some in statements for s in some if "secretsmanager:GetSecretValue" in s["Action"]]

    assert reads
    assert all("*" not in resource for resource_list in reads for resource in resource_list)


# --- Alarms and metrics ---


@cache
def counted() -> dict[str, set[str]]:
    """Every metric of ours as CloudWatch calls it, with its labels."""
    for process in METRICS_OF:
        import_module(process)
    return {
        name: set(getattr(collector, "_labelnames", ()))
        for collector, names in REGISTRY._collector_to_names.items()
        for name in names
        if name.startswith(("risk_", "debt_", "recovery_", "http_"))
    }


def watched() -> Iterator[tuple[str, set[str], set[str]]]:
    """Each metric that an alarm or a chart asks for, with its labels, and those of them that may be empty."""
    text = text_of("modules/watching")
    for metric, labels in re.findall(r'metric = "(\w+)", labels = \{([^}]*)\}', text):
        yield metric, set(re.findall(r"(\w+) =", labels)), {"lane"} if '"dead"' in labels else set()
    for labels, metric in re.findall(r'format\(local\.search, "([\w,]*)", "(\w+)"', text):
        yield metric, set(filter(None, labels.split(","))), {"lane"} if metric == "risk_batches_total" else set()


def test_what_is_watched_is_found_in_the_text():
    text = text_of("modules/watching")

    assert len(list(watched())) == len(re.findall(r'metric = "', text)) + len(re.findall(r"format\(local", text)) > 30


@pytest.mark.parametrize(("metric", "labels", "optional"), list(watched()), ids=[name for name, _, _ in watched()])
def test_a_metric_that_is_watched_exists_with_these_labels(metric, labels, optional):
    assert metric in counted()
    assert labels <= counted()[metric] <= labels | optional


@slow
@each_example
def test_every_alarm_leads_to_its_page(system):
    pages = [
        re.search(r"docs/operations\.md#alarm-([a-z-]+)$", alarm["alarm_description"])
        for alarm in of_type(system, "aws_cloudwatch_metric_alarm")
    ]

    assert None not in pages
    assert {page[1] for page in pages if page} == ALARMS


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_has_its_page(alarm):
    headings = re.findall(r"^### (Alarm: .*)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)

    assert f"alarm-{alarm}" in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@slow
@each_example
def test_the_dashboard_fits_on_its_page(system):
    (dashboard,) = of_type(system, "aws_cloudwatch_dashboard")
    widgets = json.loads(dashboard["dashboard_body"])["widgets"]

    assert all(widget["x"] + widget["width"] <= 24 and widget["properties"]["metrics"] for widget in widgets)
    assert len({(widget["x"], widget["y"]) for widget in widgets}) == len(widgets)


# --- The small programs ---


def test_the_linter_has_nothing_to_say_of_the_image():
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, AWS / "image/Dockerfile"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_preparing_makes_a_database_and_a_user_who_sees_nothing_else(mariadb: MariaDb):
    script = AWS / "modules/services/prepare_database.py"

    def prepare(password: str) -> str:
        url = f"mysql+pymysql://prepared:{password}@127.0.0.1:{mariadb.port}/prepared"
        env = {**os.environ, "RISK_DATABASE_URL": url, "MASTER_USERNAME": "root", "MASTER_PASSWORD": ""}
        command = [sys.executable, "-c", script.read_text(encoding="utf-8"), "RISK_DATABASE_URL"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        assert password not in done.stdout + done.stderr
        return done.stdout

    def databases(password: str) -> set[str]:
        connection = pymysql.connect(host="127.0.0.1", port=mariadb.port, user="prepared", password=password)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            return {row[0] for row in cursor.fetchall()}

    try:
        assert prepare("first") == "database prepared is there, and user prepared has the password of the URL\n"
        assert databases("first") == {"information_schema", "prepared"}
        prepare("second")
        assert databases("second") == {"information_schema", "prepared"}
        with pytest.raises(pymysql.OperationalError):
            databases("first")
    finally:
        mariadb.execute("DROP DATABASE IF EXISTS prepared", "DROP USER IF EXISTS prepared@'%'")


def test_a_new_password_goes_into_the_secret_within_the_whole_url(tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("no jq on this machine: database-password.sh is not tried")
    urls = {"risk": {"secret": "s/risk-database-url", "before": "mysql+pymysql://risk:", "after": "@db:3306/risk"}}
    put, said = tmp_path / "put", tmp_path / "said"
    programs = {
        "terraform": f"echo '{json.dumps(urls)}'",
        "aws": f'test "$2" = get-random-password && echo drawn || {{ cat > {put}; echo "$@" > {said}; }}',
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(AWS / "database-password.sh"), "risk"]

    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(put.read_text(encoding="utf-8")) == {
        "SecretId": "s/risk-database-url",
        "SecretString": "mysql+pymysql://risk:drawn@db:3306/risk",
    }
    assert "drawn" not in said.read_text(encoding="utf-8") + done.stdout + done.stderr
    assert subprocess.run([*command[:-1], "other"], env=env, capture_output=True, check=False).returncode != 0


# --- Others' judgement ---


@slow
def test_checkov_finds_nothing():
    program = shutil.which("checkov")
    if program is None:
        pytest.skip("no checkov on the PATH: infra/aws was not searched for what is unsafe")
    command = [program, "--directory", str(AWS), "--framework", "terraform", "--skip-download", "--quiet", "--compact"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)

    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]


def test_a_check_of_checkov_that_is_skipped_has_a_reason():
    skips = re.findall(r"checkov:skip=(\S+?)(?::(.*))?$", text_of(".", *map(str, AWS.glob("modules/*"))), re.MULTILINE)

    assert skips
    assert [check for check, reason in skips if not re.fullmatch(r"[A-Z].{15,}\.", reason)] == []


@slow
def test_queues_are_made_for_real_and_a_second_plan_changes_nothing(tmp_path):
    """Takes two minutes, because the provider waits for AWS to agree with itself."""
    if not os.environ.get("TEST_TERRAFORM_APPLY"):
        pytest.skip("takes two minutes: set TEST_TERRAFORM_APPLY=1 to make the queues on a local SQS")
    queues = found_terraform(tmp_path / "queues")
    shutil.copytree(AWS / "modules/queues", queues.folder)
    with moto_server(tmp_path) as url:
        (queues.folder / "provider.tf").write_text(PROVIDER % url, encoding="utf-8")
        queues.init()
        # moto does not know who may redrive to a queue.
        values = ("-input=false", "-no-color", "-var=name=tried", "-var=restrict_redrive=false")
        code, said = queues.run("apply", "-auto-approve", *values, within=300)
        assert code == 0, said
        code, said = queues.run("plan", "-out=second", *values, within=120)
        assert code == 0, said
        code, said = queues.run("show", "-json", "second")
        assert code == 0, said
    assert [change["address"] for change in json.loads(said)["resource_changes"] if changes(change["change"])] == []


def changes(change: Json) -> bool:
    """Whether more is changed than the blanks in a policy, where moto sets others than AWS."""
    before, after = ({**side, "redrive_policy": None} for side in (change["before"], change["after"]))
    policies = [json.loads(change[side].get("redrive_policy") or "null") for side in ("before", "after")]
    return before != after or policies[0] != policies[1]


PROVIDER = """
provider "aws" {
  region                      = "us-east-1"
  access_key                  = "local"
  secret_key                  = "local"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true

  endpoints {
    sqs = "%s"
  }
}
"""
