"""An input may be a file or a pipe; either can be read twice."""

import os
import threading
from pathlib import Path

import pytest

from service_kit.csv_files import source as sources
from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.source import opened


def test_a_pipe_can_be_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"ref\nA-1\n" * 50_000,))
    writer.start()

    with opened(pipe) as source:
        for _ in range(2):
            with source.text("utf-8") as text:
                assert sum(1 for _ in text) == 100_000
        assert source.size == 400_000
    writer.join()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ImportRefusedError, match=reason), opened(path):
            pass


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_LINE_BYTES", 3 << 20)
    path = tmp_path / "file.csv"
    path.write_bytes(b"ref\n" + b"x" * (5 << 20))

    with pytest.raises(ImportRefusedError, match="line 2 has more than 3 MiB"), opened(path):
        pass


def test_a_file_that_grows_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("ref\n")

    with opened(path) as source:
        assert not source.has_changed()
        with path.open("a") as file:
            file.write("A-1\n")
        assert source.has_changed()
