"""The command `scopegate`: its subcommands, each imported when it is used.

So `scopegate --help` and `--version` import neither the gateway nor pydantic.
"""

import gc
from importlib import import_module
from typing import Final

import click

SUBCOMMANDS: Final = {
    "account": (
        "commands.account",
        "List accounts, change their balances, and lift self-exclusion.",
    ),
    "app": ("commands.app", "Register, list, disable and enable apps."),
    "audit": (
        "commands.audit",
        "Show the audit trail: sign-ins, and changes of tokens, apps and users.",
    ),
    "backup": ("commands.backup", "Copy the database to a new file and check the copy."),
    "calls": ("commands.calls", "List every call, the scopes that it needs and what it does."),
    "check": ("commands.check", "Check the database without changing it."),
    "doctor": ("commands.doctor", "Report unsafe settings, and what to set instead."),
    "fault": ("commands.fault", "Begin, list and end faults of connections, to test bots."),
    "record": (
        "commands.record",
        "Record what clients and a gateway send each other, without secrets.",
    ),
    "replay": ("commands.replay", "Serve a recording again, without a gateway."),
    "report": ("commands.report", "Write a report of what a bot did in a recording."),
    "restore": ("commands.restore", "Put a backup in the place of the database."),
    "serve": ("commands.serve", "Serve the API and the pages until interrupted."),
    "store": ("commands.store", "Move the database to another engine."),
    "token": ("commands.token", "Create, restrict, list and revoke tokens, and show their uses."),
    "user": ("commands.user", "Create and list users, lock them out, and change their passwords."),
}
"""The module of each subcommand, and the first sentence of its help."""


class _Subcommands(click.Group):
    """Imports a subcommand when it is used, and lists all of them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module, _ = SUBCOMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"scopegate.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in SUBCOMMANDS.items()])


@click.group(cls=_Subcommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scopegate", prog_name="scopegate")
def cli() -> None:
    """A WebSocket API gateway in the style of the Deriv API v3, with a paper exchange behind it."""


def main() -> None:
    """Run the command line."""
    try:
        cli(prog_name="scopegate")
    finally:
        gc.freeze()  # the interpreter would look for garbage before it exits, up to 0.2 seconds
