"""Documents lead where they say, and no file speaks of the machine it was written on."""

import re
from urllib.parse import unquote

import pytest

from .tree import ROOT, files, markdown_files, text_of

FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
# Put together here, so that this file is not the first to be found.
MACHINE_PATHS = re.compile(
    "|".join(f"/{folder}/" for folder in ("work/main", "work/shared", "root", "Users", "opt/wheels"))
)
REGISTRIES = re.compile("|".join((r"pypi" r"\.org", r"python" r"hosted\.org", r"registry\.npm" r"js\.org")))


def links(text: str) -> list[str]:
    """The targets of the links in a document, code left out."""
    return LINK.findall(INLINE_CODE.sub("", FENCED.sub("", text)))


def anchors(text: str) -> set[str]:
    """What its headings are called in an address."""
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", markdown_files(), ids=str)
def test_relative_links_lead_somewhere(document):
    dead = []
    for link in links((ROOT / document).read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (ROOT / document).parent / name if name else ROOT / document
        found = target.exists() and (
            not anchor or target.suffix != ".md" or anchor in anchors(target.read_text(encoding="utf-8"))
        )
        if not found:
            dead.append(link)
    assert dead == []


def test_links_in_code_are_not_links():
    assert links("[a](b.md) `[c](d.md)`\n```\n[e](f.md)\n```\n![g](<h.png>)") == ["b.md", "h.png"]


def test_headings_become_anchors():
    assert anchors("# A `word`, twice\n```\n# no heading\n```\n") == {"a-word-twice"}


def matches(pattern: re.Pattern[str], *, but: tuple[str, ...] = ()) -> list[str]:
    """Where a pattern stands in the project: file and what was found."""
    return [
        f"{path}: {found}"
        for path in files()
        if path.name not in but
        for found in sorted(set(pattern.findall(text_of(path) or "")))
    ]


def test_no_file_names_a_path_of_one_machine():
    assert matches(MACHINE_PATHS) == []


def test_no_file_but_the_lock_names_a_package_registry():
    assert matches(REGISTRIES, but=("uv.lock",)) == []


WORDS = """debtor portfolio profile policy assessment priority run batch lane decision hold outbox inbox lease
    dispatcher consumer heartbeat redrive outstanding snapshot treatment threshold preview spill"""


@pytest.mark.parametrize("word", WORDS.split())
def test_the_glossary_has_the_words_of_the_house(word):
    assert re.search(rf"^\*\*{word}\*\*", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_each_word_of_the_glossary_stands_once_and_in_order():
    sections = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").split("\n## ")[1:]
    words = [re.findall(r"^\*\*(.+?)\*\*", section, re.MULTILINE) for section in sections]
    every = [word for section in words for word in section]

    assert all(section == sorted(section, key=str.casefold) for section in words)
    assert len(set(every)) == len(every)
