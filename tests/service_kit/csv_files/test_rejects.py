"""The reject file is opened before the first write, never over another file, and does not outlive its reasons."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.rejects import RejectFile
from service_kit.csv_files.source import opened

OLD = "row,column,reason\n7,amount,from last week\n"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("ref,amount\nA-1,5\n")
    return path


@pytest.fixture
def rejects(tmp_path: Path) -> Path:
    return tmp_path / "in.rejects.csv"


def open_both(given: Path, rejects: Path) -> None:
    with opened(given) as source, RejectFile(rejects, source):
        pass


def test_rows_are_listed_with_their_problems(given: Path, rejects: Path) -> None:
    with opened(given) as source, RejectFile(rejects, source) as file:
        file.begin()
        file.write(3, [("amount", "must not be empty"), ("ref", "bad \udc80")])

    assert rejects.read_text().splitlines() == ["row,column,reason", "3,amount,must not be empty", "3,ref,bad ?"]
    assert rejects.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("old", [None, OLD, ""])
def test_a_clean_import_leaves_no_reject_file(given: Path, rejects: Path, old: str | None) -> None:
    if old is not None:
        rejects.write_text(old)

    with opened(given) as source, RejectFile(rejects, source) as file:
        file.begin()

    assert not rejects.exists()


@pytest.mark.parametrize("old", [None, OLD])
def test_a_refused_import_leaves_it_as_it_was(given: Path, rejects: Path, old: str | None) -> None:
    if old is not None:
        rejects.write_text(old)

    with pytest.raises(ImportRefusedError), opened(given) as source, RejectFile(rejects, source):
        raise ImportRefusedError("no column")

    assert (rejects.read_text() if rejects.exists() else None) == old


def test_new_reasons_replace_the_old_ones(given: Path, rejects: Path) -> None:
    rejects.write_text(OLD)

    with opened(given) as source, RejectFile(rejects, source) as file:
        file.begin()
        file.write(2, [("amount", "new")])

    assert rejects.read_text().splitlines() == ["row,column,reason", "2,amount,new"]


@pytest.mark.parametrize("link", [None, os.link, os.symlink], ids=["itself", "a hard link", "a symbolic link"])
def test_the_input_is_never_the_reject_file(
    given: Path, tmp_path: Path, link: Callable[[Path, Path], None] | None
) -> None:
    path = given
    if link is not None:
        path = tmp_path / "other.csv"
        link(given, path)
    before = given.read_text()

    with pytest.raises(ImportRefusedError, match="is the file to import"):
        open_both(given, path)

    assert given.read_text() == before


def test_another_file_is_never_overwritten(given: Path, tmp_path: Path) -> None:
    other = tmp_path / "mapping.toml"
    other.write_text("[fields]\n")

    with pytest.raises(ImportRefusedError, match="is no reject file"):
        open_both(given, other)

    assert other.read_text() == "[fields]\n"


def test_a_folder_that_is_not_there_is_named(given: Path, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match=r"cannot write the reject file .*nowhere"):
        open_both(given, tmp_path / "nowhere" / "x.csv")


def test_a_device_takes_reasons_and_stays(given: Path) -> None:
    with opened(given) as source, RejectFile(Path(os.devnull), source) as file:
        file.begin()
        file.write(2, [("amount", "bad")])

    assert Path(os.devnull).exists()
