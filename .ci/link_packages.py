"""Build hook: an editable installation gets a link in `scopegate/` to each package beside it.

The packages are folders at the top level and import as `scopegate.PACKAGE`. A wheel has them in
place (`sources` in pyproject.toml). In a clone, links let Python, type checkers and editors find
them. Only `.links/` is put on Python's path, which has a link to `scopegate/` and nothing else.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("client", "exchange", "gateway", "handlers", "runtime", "schemas", "store")


class LinkPackages(BuildHookInterface):
    """Creates the links, and replaces links that lead elsewhere."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Create the links. Hatchling calls this before a build; `version` is the kind of wheel."""
        if version != "editable":
            return
        root = Path(self.root)
        (root / ".links").mkdir(exist_ok=True)
        _link(root / ".links" / "scopegate", Path("..", "scopegate"))
        for package in PACKAGES:
            _link(root / "scopegate" / package, Path("..", package))


def _link(link: Path, target: Path) -> None:
    """Create a link, or replace one that leads elsewhere."""
    if link.is_symlink():
        if link.readlink() == target:
            return
        link.unlink()
    try:
        link.symlink_to(target, target_is_directory=True)
    except FileExistsError:
        raise SystemExit(f"{link} is in the way of a link to {target}: remove it") from None
    except OSError as problem:
        raise SystemExit(
            f"cannot make the link {link}: {problem}; an editable installation needs symbolic"
            " links, `pip install .` does not"
        ) from problem
