"""The command `report`."""

from pathlib import Path

import click
import orjson

from scopegate.commands.common import fail
from scopegate.recordings.lines import Market, RecordingError, read


@click.command()
@click.argument("recording", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write: a page (.html) or JSON (.json).",
)
@click.option(
    "--seed",
    default=None,
    help="The seed of the recorded gateway's market, for expected results. [default: that in the"
    " recording, if it has one]",
)
def report(recording: Path, output: Path, seed: str | None) -> None:
    """Write a report of what a bot did in a recording.

    It has the trades that the messages show. Their expected results need the seed of the market.
    """
    if output.suffix not in (".html", ".json"):
        raise click.BadParameter("must end with .html or .json", param_hint="--output")
    try:
        entries = read(recording)
    except RecordingError as problem:
        fail(problem)
    # These import the market.
    from scopegate.reports.page import page_of
    from scopegate.reports.report import report_of
    from scopegate.reports.trades import ReportError, of_recording

    if seed is None:
        seed = next((entry.seed for entry in entries if isinstance(entry, Market)), None)
    try:
        made = report_of(recording.name, entries, of_recording(entries, seed))
    except ReportError as problem:
        fail(problem)
    if output.suffix == ".html":
        content = page_of(made).encode()
    else:
        content = orjson.dumps(made.to_json(), option=orjson.OPT_INDENT_2) + b"\n"
    try:
        output.write_bytes(content)
    except OSError as problem:
        raise click.ClickException(f"{output}: {problem.strerror}") from None
    click.echo(f"the report is in {output}", err=True)
