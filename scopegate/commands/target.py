"""The argument MODULE:GATEWAY of `serve`, `doctor` and `calls`."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scopegate.framework import Gateway


def named(target: str | None) -> "Gateway | None":
    """Return the gateway that `target` names, or `None`; the working directory is searched too."""
    _find_modules_here()
    if target is None:
        return None
    from scopegate import framework

    return framework.named(target)


def _find_modules_here() -> None:
    """Find modules in the working directory too, for `--handlers`, after all installed ones."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
