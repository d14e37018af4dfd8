"""The command `record`."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click

from scopegate.commands.common import fail
from scopegate.recordings.lines import Recorder, RecordingError, copied
from scopegate.recordings.proxy import HOST, recording_proxy, upstream_of


@click.command()
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The new file, in JSON Lines.",
)
@click.option(
    "--upstream",
    metavar="ADDRESS",
    default=None,
    help="The endpoint whose answers are recorded, such as ws://127.0.0.1:5555.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=None,
    help="Messages that another program saved: mask and store them, instead of --upstream.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    help="The port on which clients connect. [default: a free one]",
)
def record(target: Path, upstream: str | None, source: Path | None, port: int) -> None:
    """Record what clients and a gateway send each other, without secrets.

    Clients connect to the printed address instead of the endpoint. The file is complete when you
    interrupt the command. `scopegate replay` serves it again. docs/record-replay.md describes it.
    """
    if (upstream is None) == (source is None):
        raise click.UsageError("use --upstream or --from, and not both")
    try:
        address = None if upstream is None else upstream_of(upstream)
        recorder = Recorder.create(target)
        try:
            if source is not None:
                copied(source, recorder)
            elif address is not None:
                run_until_stopped(lambda: recording_proxy(address, recorder, port))
        except RecordingError:
            if not recorder.messages:
                target.unlink()
            raise
        finally:
            recorder.close()
    except RecordingError as problem:
        fail(problem)
    click.echo(f"{recorder.messages} messages are in {target}", err=True)


def run_until_stopped(
    serve: Callable[[], AbstractAsyncContextManager[int]], *, until: asyncio.Event | None = None
) -> None:
    """Serve clients, print the address, and return on a signal, or when `until` is set."""

    async def run() -> None:
        stopped = until or asyncio.Event()
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stopped.set)
        async with serve() as port:
            click.echo(f"ws://{HOST}:{port}/websockets/v3?app_id=1089")
            await stopped.wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
