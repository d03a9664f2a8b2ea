"""Files for their owner alone: databases contain names, incomes and the hashes of keys, and reject files quote rows."""

import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import structlog

log = structlog.get_logger(__name__)

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077
"""What a group and all other users may do."""


def keep_files_private() -> None:
    """Create every file with 0600 and every folder with 0700 from now on, in this process and its children."""
    os.umask(_OTHERS)


def make_private(path: Path) -> None:
    """Take away what others may do with a file or folder, if it exists. A device or a pipe is neither.

    What belongs to another user, or cannot be changed, stays as it is, with a warning.
    """
    try:
        found = path.stat()
        if not found.st_mode & _OTHERS or not (S_ISREG(found.st_mode) or S_ISDIR(found.st_mode)):
            return
        if found.st_uid == os.geteuid():
            path.chmod(found.st_mode & FOLDER_MODE)
            log.warning("file.made_private", path=str(path))
            return
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("file.open_to_others", path=str(path), reason=error.strerror)
        return
    log.warning("file.open_to_others", path=str(path), reason="it belongs to another user")
