"""Files that another process may have put something else in the place of."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading, if it is a plain one.

    A job's process may put a link or a pipe in the place of its log or of a file it made, where the kernel
    has no Landlock: the first leads to whatever its worker can read, the second would keep it waiting.

    Raises:
        OSError: It cannot be opened, or (``ELOOP``) it is no plain file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.ELOOP, "Not a plain file", str(path))
    return os.fdopen(handle, "rb")
