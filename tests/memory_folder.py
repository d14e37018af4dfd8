"""A temporary folder in memory, for databases of tests that are not about the disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Yield a new folder, in memory where the system has a place for that; delete it afterwards."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is new
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
