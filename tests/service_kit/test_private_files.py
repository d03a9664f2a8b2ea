"""Files and folders for their owner alone."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service_kit.private_files import make_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o666, 0o600), (0o755, 0o700), (0o440, 0o400)])
def test_what_others_may_do_is_taken_away_and_said(tmp_path: Path, before: int, after: int) -> None:
    file, folder = tmp_path / "risk.db", tmp_path / "data"
    file.touch()
    folder.mkdir()
    for path in (file, folder):
        path.chmod(before)
        with capture_logs() as logs:
            make_private(path)

        assert mode(path) == after
        assert [(log["event"], log["path"]) for log in logs] == [("file.made_private", str(path))]


def test_what_is_private_or_missing_stays_as_it_is_without_a_word(tmp_path: Path) -> None:
    private = tmp_path / "risk.db"
    private.touch(mode=0o600)
    with capture_logs() as logs:
        make_private(private)
        make_private(tmp_path / "missing")

    assert mode(private) == 0o600
    assert logs == []


def test_a_file_of_another_user_stays_as_it_is_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "risk.db"
    file.touch()
    file.chmod(0o644)
    another_user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another_user)
    with capture_logs() as logs:
        make_private(file)

    assert mode(file) == 0o644
    assert [(log["event"], log["log_level"]) for log in logs] == [("file.open_to_others", "warning")]


def test_a_mode_that_cannot_be_changed_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    file = tmp_path / "risk.db"
    file.touch()
    file.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    with capture_logs() as logs:
        make_private(file)

    assert [(log["event"], log["reason"]) for log in logs] == [("file.open_to_others", "Operation not permitted")]


def test_a_pipe_keeps_its_mode(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    make_private(pipe)

    assert mode(pipe) == 0o666
