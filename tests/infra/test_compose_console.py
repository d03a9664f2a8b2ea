"""The console's container in the compose file: a client of both APIs, and of nothing else."""

from tests.infra.test_compose import APIS, SERVICES

from recovery_console.settings import Settings as ConsoleSettings


def test_the_console_asks_both_apis_who_is_there_and_knows_nothing_else(monkeypatch):
    console = SERVICES["console"]
    for field in ConsoleSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    for variable, value in console["environment"].items():
        monkeypatch.setenv(variable, value)

    settings = ConsoleSettings(_env_file=None)

    settings.refuse_open_doors(settings.console_host)
    assert (settings.risk_api_url, settings.debt_api_url) == ("http://risk-api:8001", "http://debt-api:8002")
    assert console["depends_on"] == {api: {"condition": "service_healthy"} for api in APIS}
    assert not [name for name in console["environment"] if "DATABASE" in name or name.startswith("AWS_")]
