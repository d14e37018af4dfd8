"""Logging never raises; no token is written out, and no text adds a line or a terminal's code."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from scopegate import logs
from scopegate.gateway.calls import token_form


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing can be said of this")


@contextmanager
def logging_set_up() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    raises = logging.raiseExceptions
    try:
        logs.set_up()
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.raiseExceptions = raises


@pytest.fixture
def _set_up() -> Iterator[None]:
    with logging_set_up():
        yield


@pytest.mark.usefixtures("_set_up")
def test_lines_are_written_whole(capfd: pytest.CaptureFixture[str]) -> None:
    token = token_form.new_owner_token()
    structlog.get_logger("scopegate.test").error("it failed", why=f"because of {token}")
    logging.getLogger("some.library").warning("%s of %s", "two", "three")
    first, second = capfd.readouterr().err.splitlines()
    assert 'level=error event="it failed"' in first
    assert token not in first
    assert 'level=warning event="two of three"' in second


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_text_adds_a_line_or_a_code_of_the_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with logging_set_up():
        text = "one\nlevel=info event=forged\r\x1b[2J\x9b1m\x07"
        structlog.get_logger("scopegate.test").warning(text, host=text)
        logging.getLogger("some.library").warning("of %s", text)
    lines = capfd.readouterr().err
    assert lines.count("\n") == 2
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", lines)  # those of our own renderer
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", coloured)
    assert lines.count(r"\x1b[2J") == 3


@pytest.mark.usefixtures("_set_up")
def test_lines_that_cannot_be_written_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger("scopegate.test")
    number = sys.stderr.fileno()
    standard_error = os.dup(number)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(full, number)
        for _ in range(3):
            log.error("lost")
    finally:
        os.dup2(standard_error, number)
        os.close(full)
        os.close(standard_error)
    log.error("found")
    log.error("again")
    found, again = capfd.readouterr().err.splitlines()
    assert "lost_lines=3" in found
    assert "lost_lines" not in again


@pytest.mark.usefixtures("_set_up")
def test_a_failure_to_log_raises_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger("scopegate.test")
    log.error("it failed", **{"no key for a line": 1})
    log.error("it failed", exc_info=Unprintable())
    logging.getLogger("some.library").error("%d", "no number")
    log.error("on it goes")
    assert "on it goes" in capfd.readouterr().err.splitlines()[-1]
