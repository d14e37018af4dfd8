"""Libraries that are preloaded into a gateway, compiled for a test."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path


def missing() -> str:
    """Why none can be compiled here; empty if it can."""
    return "" if shutil.which("cc") else "there is no C compiler: apt-get install gcc libc6-dev"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="preloaded-")


@functools.cache
def library(source: str) -> Path:
    """Compile a source beside this file, once; the library."""
    made = Path(_folder().name) / f"{source}.so"
    path = Path(__file__).with_name(source)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", made, path, "-ldl"],
        check=True,
        timeout=60,
    )
    return made
