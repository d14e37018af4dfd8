"""A report as files: JSON, and one page that needs no other file, no script and no other host."""

import importlib.resources
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

import orjson

from scopegate.exchange.money import CURRENCIES
from scopegate.reports.report import Report, Total
from scopegate.reports.trades import ReportError, Trade

_MAX_NAME = 120
_UNKNOWN = "&ndash;"

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta http-equiv="content-security-policy"
        content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
  <title>$title · Report</title>
  <link rel="icon" href="data:,">
  <style>
$style
.report-chart { margin: 0 0 1rem; }
.report-chart svg { display: block; width: 100%; height: 14rem; }
.report-chart polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.report-chart .zero { stroke: var(--rule); stroke-width: 1; vector-effect: non-scaling-stroke; }
.report-chart .actual { stroke: var(--accent); }
.report-chart .expected { stroke: var(--warning); stroke-dasharray: 6 4; }
.report-plot { border: 1px solid var(--rule); background: var(--surface); }
.report-scale { display: flex; justify-content: space-between; gap: 1rem; }
.report-key { display: inline-block; width: 1.6rem; border-top: 3px solid; }
.report-key { vertical-align: middle; }
.report-key.actual { border-color: var(--accent); }
.report-key.expected { border-color: var(--warning); border-top-style: dashed; }
h1 { overflow-wrap: anywhere; }
.numeric { white-space: nowrap; }
  </style>
</head>
<body>
  <header class="top"><div class="top-row"><span class="brand">$icon Scopegate</span></div></header>
  <main id="main">
$main
  </main>
  <footer class="bottom"><p>$note</p></footer>
</body>
</html>
""")


def write(report: Report, folder: str | Path) -> None:
    """Write a report to a folder, as JSON and as a page; both are named by its title.

    Raises `ReportError` if they cannot be written.
    """
    target, name = Path(folder), _file_name(report.title)
    text = orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2) + b"\n"
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{name}.json").write_bytes(text)
        (target / f"{name}.html").write_text(page_of(report), encoding="utf-8")
    except OSError as problem:
        raise ReportError(f"{problem.filename or target}: {problem.strerror}") from None


def _file_name(title: str) -> str:
    """Return a file name for a title: another title has another one."""
    plain = re.sub(r"[^\w.-]+", "-", title).strip("-.") or "report"
    if plain == title and len(plain) <= _MAX_NAME:
        return plain
    return f"{plain[:_MAX_NAME]}-{sha256(title.encode()).hexdigest()[:8]}"


def page_of(report: Report) -> str:
    """Return a report as a page."""
    pages = importlib.resources.files("scopegate.gateway.web") / "pages"
    icon = (pages / "icon.svg").read_text().strip()
    return _PAGE.substitute(
        title=escape(report.title),
        style=(pages / "style.css").read_text(),
        icon=icon.replace("<svg ", '<svg width="28" height="28" aria-hidden="true" ', 1),
        main="\n".join(_main(report)),
        note="All prices are simulated, and all money is paper money."
        if report.market is not None
        else "Made from a recording.",
    )


def _main(report: Report) -> Iterator[str]:
    yield f"<h1>{escape(report.title)}</h1>"
    yield f'<p class="lead">{_lead(report)}</p>'
    for total in report.totals:
        yield from _total(total, report)
    yield from _section("Trades", _trades(report.trades), "No contract was bought.")
    yield from _section("Calls", _calls(report), "No call was made.")
    yield from _section("Refusals", _refusals(report), "No call was refused.")
    yield from _section("Faults", _faults(report), "No fault was injected.")
    yield from _section("Connections", _connections(report), "No connection has ended.")
    if report.bots:
        rows = [(escape(bot.name), escape(bot.outcome)) for bot in report.bots]
        yield from _section("Bots", _table("Bots", ("Bot", "How it ended"), rows))


def _lead(report: Report) -> str:
    calls = sum(
        each.answered + sum(each.refused.values()) + each.unanswered for each in report.calls
    )
    parts = [
        _count(len(report.trades), "trade"),
        _count(calls, "call"),
        _count(len(report.refusals), "refusal"),
        _count(report.connections, "connection"),
        _count(report.reconnects, "reconnect"),
        _count(len(report.faults), "fault"),
    ]
    text = ", ".join(parts)
    if report.market is None:
        return f"{text} in {report.seconds:,.0f} seconds."
    start = datetime.fromtimestamp(report.market.start, UTC)
    return (
        f"{text} in {report.seconds:,.0f} seconds of the market that begins at"
        f" {start:%Y-%m-%d %H:%M:%S} UTC with the seed <code>{escape(report.market.seed)}</code>."
    )


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _section(title: str, content: str, empty: str = "") -> Iterator[str]:
    yield f"<section><h2>{title}</h2>"
    yield content or f'<p class="quiet-text">{empty}</p>'
    yield "</section>"


def _table(
    name: str, titles: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()
) -> str:
    """Return a table of cells in HTML; no text if there are no rows."""
    kinds = [' class="numeric"' if place in numeric else "" for place in range(len(titles))]
    lines = [
        "<tr>"
        + "".join(
            f'<td{kind} data-title="{title}"><span>{cell}</span></td>'
            for kind, title, cell in zip(kinds, titles, row, strict=True)
        )
        + "</tr>"
        for row in rows
    ]
    if not lines:
        return ""
    head = "".join(
        f'<th scope="col"{kind}>{title}</th>' for kind, title in zip(kinds, titles, strict=True)
    )
    return "\n".join(
        [
            f'<table class="stacking" aria-label="{name}">',
            f"<thead><tr>{head}</tr></thead><tbody>",
            *lines,
            "</tbody></table>",
        ]
    )


# Money.


def _money(amount: float | None, currency: str, *, more: int = 0) -> str:
    """Return an amount with the decimals of its currency, and `more` of them."""
    if amount is None:
        return _UNKNOWN
    digits = (CURRENCIES[currency].digits if currency in CURRENCIES else 2) + more
    return f"{amount:,.{digits}f}"


def _signed(amount: float | None, currency: str, *, more: int = 0) -> str:
    """Return an amount with a sign, so that colour is not the only cue."""
    if amount is None:
        return _UNKNOWN
    text = _money(abs(amount), currency, more=more)
    if float(text.replace(",", "")) == 0:
        return text
    kind, sign = ("gain", "+") if amount > 0 else ("loss", "&minus;")
    return f'<span class="{kind}">{sign}{text}</span>'


def _total(total: Total, report: Report) -> Iterator[str]:
    currency = total.currency
    error = total.standard_error
    spread = _money(error, currency)
    if error and total.deviation is not None:
        spread += f" (the deviation is {abs(total.deviation) / error:.1f} of it)"
    facts = (
        ("Ended trades", f"{total.trades:,}"),
        ("Open or unknown", f"{total.open:,}"),
        ("Paid for them", _money(total.price, currency)),
        ("Result", _signed(total.result, currency)),
        ("Expected by the model", _signed(total.expected, currency, more=2)),
        ("Deviation", _signed(total.deviation, currency, more=2)),
        ("Standard error", spread),
    )
    yield f"<section><h2>Result in {escape(currency or 'an unknown currency')}</h2>"
    yield '<dl class="facts">'
    yield from (f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    yield "</dl>"
    yield from _chart([trade for trade in report.trades if trade.currency == currency], currency)
    yield "</section>"


def _chart(trades: list[Trade], currency: str) -> Iterator[str]:
    """Yield a chart of the sums of actual and expected results, trade by trade."""
    ended = [trade for trade in trades if trade.result is not None]
    if not ended:
        return
    actual, expected = [0.0], [0.0]
    for trade in ended:
        actual.append(actual[-1] + (trade.result or 0.0))
        if trade.expected is not None and len(expected) == len(actual) - 1:
            expected.append(expected[-1] + trade.expected)
    is_known = len(expected) == len(actual)
    values = [*actual, *(expected if is_known else [])]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def points(sums: list[float]) -> str:
        return " ".join(
            f"{100 * place / len(ended):.3f},{100 - 100 * (value - low) / span:.3f}"
            for place, value in enumerate(sums)
        )

    zero = 100 + 100 * low / span
    label = (
        f"After {_count(len(ended), 'trade')} the result is {actual[-1]:,.2f} {escape(currency)}"
    )
    if is_known:
        label += f", and {expected[-1]:,.2f} was expected"
    yield '<figure class="report-chart">'
    yield '<div class="report-scale hint">'
    yield f'<span>{_money(high, currency)} {escape(currency)}</span><span class="numeric">'
    yield '<span class="report-key actual"></span> result'
    if is_known:
        yield '&ensp;<span class="report-key expected"></span> expected'
    yield "</span></div>"
    yield f'<div class="report-plot"><svg role="img" aria-label="{label}."'
    yield ' viewBox="0 -2 100 104" preserveAspectRatio="none">'
    yield f'<line class="zero" x1="0" x2="100" y1="{zero:.3f}" y2="{zero:.3f}"/>'
    if is_known:
        yield f'<polyline class="expected" points="{points(expected)}"/>'
    yield f'<polyline class="actual" points="{points(actual)}"/>'
    yield "</svg></div>"
    yield '<div class="report-scale hint">'
    yield f"<span>{_money(low, currency)} {escape(currency)}</span>"
    yield f"<span>{_count(len(ended), 'trade')}</span></div></figure>"


def _trades(trades: list[Trade]) -> str:
    titles = (
        "Bought",
        "Contract",
        "Price",
        "Status",
        "Result",
        "Expected",
        "Deviation",
    )
    rows = [
        (
            f"{datetime.fromtimestamp(trade.bought_at, UTC):%Y-%m-%d %H:%M:%S}",
            f"{escape(trade.contract_type)} {escape(trade.symbol)}"
            f'<br><span class="hint">{escape(trade.description)}</span>',
            f"{_money(trade.price, trade.currency)} {escape(trade.currency)}",
            escape(trade.status),
            _signed(trade.result, trade.currency),
            _signed(trade.expected, trade.currency, more=2),
            _signed(trade.deviation, trade.currency, more=2),
        )
        for trade in trades
    ]
    return _table("Trades", titles, rows, numeric=(2, 4, 5, 6))


def _calls(report: Report) -> str:
    rows = [
        (
            f"<code>{escape(each.call or 'none')}</code>",
            f"{each.answered:,}",
            ", ".join(f"{count:,} {escape(code)}" for code, count in each.refused.items()) or "0",
            f"{each.unanswered:,}",
        )
        for each in report.calls
    ]
    titles = ("Call", "Answered", "Refused", "Without an answer")
    return _table("Calls", titles, rows, numeric=(1, 3))


def _refusals(report: Report) -> str:
    rows = [
        (
            _moment(each.at, report),
            f"<code>{escape(each.call)}</code>",
            escape(each.code),
            escape(each.message),
        )
        for each in report.refusals
    ]
    return _table("Refusals", ("Time", "Call", "Code", "Message"), rows)


def _faults(report: Report) -> str:
    rows = [
        (
            _moment(each.at, report),
            f"<code>{escape(each.fault)}</code>",
            escape(", ".join(each.next_steps)) or "nothing further",
        )
        for each in report.faults
    ]
    return _table("Faults", ("Time", "Fault", "What the bot did next"), rows)


def _connections(report: Report) -> str:
    rows = [
        (
            _moment(each.at, report),
            f"{each.connection:,}",
            f"the {each.by}",
            f"{each.code}",
        )
        for each in report.ended
    ]
    return _table("Connections", ("Ended", "Connection", "By", "Close code"), rows)


def _moment(at: float, report: Report) -> str:
    """Return a time of the market, or the seconds since the start of the recording."""
    if report.market is None:
        return f"{at:,.3f} s"
    return f"{datetime.fromtimestamp(report.market.start + at, UTC):%Y-%m-%d %H:%M:%S}"
