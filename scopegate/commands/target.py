"""The gateway that a command is about: its argument MODULE:GATEWAY, or the plugins of settings."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scopegate.framework import Gateway
    from scopegate.plugins import Plugin
    from scopegate.settings import Settings


def named(target: str | None) -> "Gateway | None":
    """Return the gateway that `target` names, or `None`; the working directory is searched too."""
    _find_modules_here()
    if target is None:
        return None
    from scopegate import framework

    return framework.named(target)


def plugins_of(settings: "Settings") -> "Sequence[Plugin]":
    """Return the plugins that `scopegate serve` has with these settings.

    Raises `DeclarationError` or `SettingsError` if one of them cannot be loaded or is unknown.
    """
    _find_modules_here()
    from scopegate.composition import composition_of

    return composition_of(None, settings.handlers, settings.without, ()).plugins


def _find_modules_here() -> None:
    """Find modules in the working directory too, for `--handlers`, after all installed ones."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
