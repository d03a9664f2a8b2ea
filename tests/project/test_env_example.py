""".env.example is complete: every setting stands in it, with the value that applies when nothing is set."""

import re

import pytest

from debt_processing.settings import Settings as DebtSettings
from recovery_console.settings import Settings as ConsoleSettings
from risk_assessment.settings import Settings as RiskSettings

from .tree import ROOT

EXAMPLE = ROOT / ".env.example"
SETTINGS = (RiskSettings, DebtSettings, ConsoleSettings)
NAMED = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
# Read by the AWS client itself.
CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"}


def variables(settings) -> set[str]:
    return {(field.validation_alias or name).upper() for name, field in settings.model_fields.items()}


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_stands_in_the_example(settings):
    assert variables(settings) - NAMED == set()


def test_every_variable_of_the_example_is_a_setting():
    assert NAMED - CREDENTIALS - set().union(*map(variables, SETTINGS)) == set()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_example_copied_as_it_is_changes_nothing(settings, monkeypatch):
    for name in NAMED:
        monkeypatch.delenv(name, raising=False)

    assert settings(_env_file=EXAMPLE) == settings(_env_file=None)


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_explains_itself(settings):
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


def test_no_secret_has_a_value_in_the_example():
    assert not re.search(r"^(?!#).*(SECRET|PASSWORD|TOKEN)\w*=\S", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
