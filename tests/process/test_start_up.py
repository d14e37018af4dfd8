"""What a command leaves unloaded that does not need it, so that it answers at once."""

import subprocess
import sys
from importlib import import_module

import click
import pytest

from scopegate.cli import SUBCOMMANDS, cli


def loaded(program: str, *modules: str) -> list[str]:
    """Which of these modules are loaded after a program in a process of its own."""
    program += f"; import sys; print(*(each for each in {modules} if each in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("command", ["account", "audit", "backup", "token", "user"])
def test_looking_after_a_database_takes_no_numpy(command: str) -> None:
    program = f"import scopegate.commands.{command}"
    assert loaded(program, "numpy", "sqlite3") == ["sqlite3"]


def test_help_takes_neither_the_gateway_nor_pydantic() -> None:
    program = "from scopegate.cli import cli; cli(['--help'], standalone_mode=False)"
    modules = (
        "click",
        "asyncio",
        "pydantic",
        "structlog",
        "scopegate.commands",
        "scopegate.settings",
    )
    assert loaded(program, *modules) == ["click"]


def test_the_list_of_commands_has_the_first_sentence_of_each() -> None:
    context = click.Context(cli)
    for name, (module, text) in SUBCOMMANDS.items():
        command = cli.get_command(context, name)
        assert command is getattr(import_module(f"scopegate.{module}"), name)
        assert command.get_short_help_str(limit=100) == text
    assert list(SUBCOMMANDS) == sorted(SUBCOMMANDS)
