"""A temporary folder that is full or gone is waited for; a file that a program uses wrongly is its mistake."""

import errno
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import pytest
from tests.service_kit.worker.recording import Outages

from service_kit.worker import temporary_files
from service_kit.worker.temporary_files import check_room, explain_lack_of_room, room_dependency


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "the temporary folder is full"),
        (errno.EDQUOT, "the temporary folder is full"),
        (errno.ENOENT, "the temporary folder cannot be used: No such file or directory"),
        (errno.EROFS, "the temporary folder cannot be used: Read-only file system"),
        (errno.EACCES, "the temporary folder cannot be used: Permission denied"),
        (errno.EBADF, None),
        (errno.EINVAL, None),
    ],
)
def test_what_waiting_or_an_operator_can_cure_has_a_reason_without_the_path(code: int, reason: str | None) -> None:
    assert explain_lack_of_room(OSError(code, os.strerror(code), "/secret/path")) == reason


@pytest.mark.parametrize("error", [OSError("no number"), ValueError(errno.ENOSPC)])
def test_other_errors_have_none(error: Exception) -> None:
    assert explain_lack_of_room(error) is None


@pytest.mark.anyio
async def test_a_folder_that_is_gone_is_away_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, outages = tmp_path / "tmp", Outages()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    dependency = room_dependency(outages)

    assert not await dependency.probe()
    folder.mkdir()
    assert await dependency.probe()

    reason = "the temporary folder cannot be used: No such file or directory"
    assert outages.events == [("began", "temporary_files", reason), ("ended", "temporary_files")]
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_probe_writes_what_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    full = partial(open, "/dev/full", "wb", 0)
    monkeypatch.setattr(temporary_files.tempfile, "TemporaryFile", lambda **_: full())

    with pytest.raises(OSError, match="No space left") as caught:
        check_room()

    assert explain_lack_of_room(caught.value) == "the temporary folder is full"


def test_there_is_room_here() -> None:
    assert shutil.disk_usage(tempfile.gettempdir()).free
    check_room()
