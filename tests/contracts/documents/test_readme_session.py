"""What counts as an output that is as shown."""

import pytest
from tests.contracts.documents.readme_session import Step, differences, steps

ID = "308a7455-6b04-4170-968a-b41faeba47a6"
OTHER = "8f6d8649-053e-44cd-b1bf-ec34c0adeb80"


def test_a_command_goes_on_while_it_is_open() -> None:
    block = "$ curl -d '{\n  \"a\": 1}' \\\n  $URL\n{…}\n\n$ ls\n"

    assert list(steps(block)) == [Step("curl -d '{\n  \"a\": 1}' \\\n  $URL", "{…}"), Step("ls", "")]


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"a":1,"b":[1,2]}'),
        ('{"a": 1, …}', '{"a":1,"b":2}'),
        ('{"a": …}', '{"a":{"b":2}}'),
        ('{"a": {…}, …}', '{"a":{"b":2},"c":3}'),
        ('{"a": [{"b": 1, …}, …]}', '{"a":[{"b":1,"c":2},{"b":3}]}'),
        (f'{{"id": "{ID}"}}', f'{{"id":"{OTHER}"}}'),
        ('{"at": "2026-11-22T17:26:00.733861Z"}', '{"at":"2027-01-01T00:00:00Z"}'),
        ('{"processing_seconds": 0.171}', '{"processing_seconds":2}'),
        ("HTTP/1.1 200 OK\n…\netag: 1\n…\n{…}", "HTTP/1.1 200 OK\ndate: x\netag: 1\n\n{}"),
        ('data: {"a":\n 1}', 'data: {"a":1}\n\n'),
        ("seconds 0.2 (1,446.8 debtors a second)", "seconds 3.1 (5 debtors a second)"),
        ("one\n…", "one\ntwo"),
        ("", "whatever"),
    ],
)
def test_an_output_as_shown(shown: str, output: str) -> None:
    assert differences(shown, output) == []


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ('{"a": 1}', '{"a":2}'),
        ('{"a": 1}', '{"a":1,"b":2}'),
        ('{"a": 1}', '{"a":"1"}'),
        ('{"a": 1}', '{"a":true}'),
        ('{"a": 1, …}', '{"b":1}'),
        ('{"a": [1]}', '{"a":[1,2]}'),
        ('{"a": [1, 2, …]}', '{"a":[1]}'),
        ('{"a": 1}', ""),
        ("HTTP/1.1 201 Created\n…\n{…}", "HTTP/1.1 200 OK\n\n{}"),
        ("one\nthree", "one\ntwo\nthree"),
        ("one", "one\ntwo"),
        ("one\ntwo", "one"),
    ],
)
def test_an_output_unlike_what_is_shown(shown: str, output: str) -> None:
    assert differences(shown, output) != []
