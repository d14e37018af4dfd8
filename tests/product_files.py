"""The files of the product, without what links lead to."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("client", "exchange", "gateway", "handlers", "runtime", "schemas", "store")
"""The packages beside `scopegate/`, which has a link to each."""


def python_files(folder: str) -> list[Path]:
    """The Python files of a folder at the top level, and of the folders in it."""
    return [
        path
        for path in sorted((ROOT / folder).glob("**/*.py"))
        if folder != "scopegate" or path.relative_to(ROOT).parts[1] not in PACKAGES
    ]
