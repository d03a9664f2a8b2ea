"""The temporary folder as a loop sees it: full or gone, it is waited for like a database that is away."""

import errno
import os
import tempfile
from functools import partial

from service_kit.worker.dependencies import Dependency, OutageEvents
from service_kit.worker.waiting import in_thread

PROBE_BYTES = 1024 * 1024
NAME = "temporary_files"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MISTAKES = {errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ESPIPE}  # of a program that uses its files wrongly


def check_room(size: int = PROBE_BYTES) -> None:
    """Raise OSError unless a temporary file of that size can be written now."""
    with tempfile.TemporaryFile(buffering=0) as file:
        written = 0
        while written < size:
            written += file.write(bytes(size - written))


def explain_lack_of_room(error: BaseException) -> str | None:
    """Return in one clause, without its path, what is wrong with the folder; None when the error is no such thing.

    Only for work whose one use of files is temporary: any other file could be to blame just as well.
    """
    if not isinstance(error, OSError) or error.errno is None or error.errno in _MISTAKES:
        return None
    if error.errno in _FULL:
        return "the temporary folder is full"
    return f"the temporary folder cannot be used: {os.strerror(error.errno)}"


def room_dependency(events: OutageEvents) -> Dependency:
    """Return room for temporary files as a dependency."""
    return Dependency(NAME, partial(in_thread, check_room), explain_lack_of_room, events)
