"""The log of a gateway: one line of text for each event, on standard error.

Rules:
- Logging never raises, so it cannot break what it reports on. Lines that cannot be written are
  counted, and the next line that can be written has the count.
- No token is ever logged.
- Text that a client has sent adds no line, and no code that a terminal would act on. Only the
  traceback of a bug has several lines, on a terminal.
"""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from scopegate.gateway.calls import token_form

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_lost = 0


class _Safe:
    """Makes the methods of a logger ignore their own failures, and count the lost lines."""

    def _proxy_to_logger(
        self, method_name: str, event: str | None = None, *event_args: str, **event_kw: Any
    ) -> Any:
        global _lost
        try:
            if _lost:
                event_kw["lost_lines"] = _lost
            super()._proxy_to_logger(method_name, event, *event_args, **event_kw)  # type: ignore[misc]
        except Exception:  # noqa: BLE001 - a full disk, an exception that cannot be formatted
            _lost += 1
        else:
            _lost = 0


def _safe_logger(level: int) -> Any:
    """Return the class of loggers that log from this level on."""
    return type("SafeLogger", (_Safe, structlog.make_filtering_bound_logger(level)), {})


class _StandardError:
    """Writes each line completely, without Python's buffer: a failed line is not retried."""

    def _write(self, line: str) -> None:
        data = line.encode(errors="backslashreplace") + b"\n"
        while data:
            data = data[os.write(sys.stderr.fileno(), data) :]

    msg = debug = info = warning = error = exception = critical = log = _write


class _SafeHandler(logging.Handler):
    """Formats the log records of libraries like those of the gateway."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; `_Safe` ignores failures."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not match the format
            text = str(record.msg)
        logger = structlog.get_logger(record.name)
        logger.log(max(record.levelno, logging.INFO), text, exc_info=record.exc_info)


def level_of(name: str) -> int:
    """Return the number of a level of the setting `log_level`."""
    return logging.getLevelNamesMapping()[name.upper()]


def set_up(level: str = "warning", form: str = "text") -> None:
    """Log to standard error; as text in colours on a terminal, or each event as a JSON object.

    `level` and `form` are values of the settings `log_level` and `log_format`.
    """
    on_terminal = form == "text" and sys.stderr.isatty()

    def scrub(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Any:
        return {
            key: _harmless(value, keep_lines=key == "exception" or not on_terminal)
            if isinstance(value, str)
            else value
            for key, value in event.items()
        }

    logging.raiseExceptions = False
    logging.basicConfig(handlers=[_SafeHandler()], level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            scrub,
            structlog.dev.ConsoleRenderer(
                colors=True, exception_formatter=structlog.dev.plain_traceback
            )
            if on_terminal
            else structlog.processors.JSONRenderer(default=str)
            if form == "json"
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=lambda *_: _StandardError(),
        wrapper_class=_safe_logger(level_of(level)),
    )


def _harmless(text: str, *, keep_lines: bool) -> str:
    """Return a text without tokens, with control characters as `\\x1b` and so on.

    `keep_lines` leaves line feeds as they are: the renderer escapes them, or they are wanted.
    """

    def escaped(found: re.Match[str]) -> str:
        if keep_lines and found[0] == "\n":
            return "\n"
        return found[0].encode("unicode_escape").decode()

    return _CONTROL.sub(escaped, token_form.without_tokens(text))
