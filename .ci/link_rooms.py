"""Build hook: an editable installation gets a link in `scopegate/` for each room beside it.

The rooms are folders at the top level and import as `scopegate.ROOM`. A wheel has them in place
(`sources` in pyproject.toml). In a clone, links let Python, type checkers and editors find them.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOMS = ("exchange", "gateway", "handlers", "runtime", "schemas", "store")


class LinkRooms(BuildHookInterface):
    """Makes the links, and replaces links that lead elsewhere."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is the kind of wheel."""
        if version != "editable":
            return
        for room in ROOMS:
            link, target = Path(self.root, "scopegate", room), Path("..", room)
            if link.is_symlink() and link.readlink() != target:
                link.unlink()
            if not link.is_symlink():
                link.symlink_to(target, target_is_directory=True)
