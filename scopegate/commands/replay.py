"""The command `replay`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from scopegate.commands.common import fail
from scopegate.commands.record import run_until_stopped
from scopegate.recordings.lines import RecordingError, read
from scopegate.recordings.replay import Replay, served


@click.command()
@click.argument("recording", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="The port on which clients connect. [default: a free one]",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Send events with the recorded pauses, divided by this number. [default: at once]",
)
def replay(recording: Path, port: int, speed: float | None) -> None:
    """Serve a recording again, without a gateway.

    What does not match is answered with an error, and reported at the end.

    It ends when every recorded connection has been served and its client has left, or when you
    interrupt it. Exits with code 1 if a client has done anything else than what is recorded.
    """
    replays: list[Replay] = []

    @asynccontextmanager
    async def serve() -> AsyncIterator[int]:
        async with served(replays[0], port) as listening_on:
            yield listening_on

    try:
        entries = read(recording)
        replays.append(Replay(entries, speed=speed))
        run_until_stopped(serve, until=replays[0].finished)
    except RecordingError as problem:
        fail(problem)
    problems = replays[0].end()
    for each in problems:
        click.echo(str(each), err=True)
    if problems:
        click.echo(f"{len(problems)} differences from the recording", err=True)
        raise SystemExit(1)
    click.echo("everything matched the recording", err=True)
