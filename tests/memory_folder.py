"""A temporary folder in memory, for databases of tests that are not about the disk."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a new name
_ENOUGH = 2 << 30
"""Bytes that must be free there: containers often have 64 megabytes."""


def memory() -> Path | None:
    """Where the system keeps files in memory; `None` if it does not, or has no room for tests."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH else None


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Yield a new folder, in memory where the system has a place for that; delete it afterwards."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        yield Path(folder)
