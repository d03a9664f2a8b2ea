"""The page of promises cites tests and files that exist."""

import re

import pytest

from .tree import ROOT

PAGE = (ROOT / "docs/promises.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[^`]+?)::(\w+)`", PAGE)))
FILES = sorted(set(re.findall(r"`((?:libs|services)/[^`]+)`", PAGE)))
PROMISES = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize(("path", "name"), TESTS, ids=[name for _, name in TESTS])
def test_a_cited_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", FILES)
def test_a_cited_file_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("promise", PROMISES, ids=[text.splitlines()[0] for text in PROMISES])
def test_a_promise_says_what_proves_it_and_what_it_is_not(promise: str) -> None:
    assert "`tests/" in promise
    assert "*Not promised:*" in promise
