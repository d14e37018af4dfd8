"""The two charts of docs/performance.md, of one run; needs Linux and two cores.

    python bench/charts.py [--rounds 3] [--seconds 1.5] [--json FILE] [--folder docs]

The first has requests per second by the number of requests outstanding on each of 50 connections.
The second has latencies by load, the lowest of all rounds: requests are sent at fixed moments,
whether or not the server keeps up, and a reply's time counts from the moment at which its request
was due. A server's line ends with the first load at which a hundredth of its replies take longer
than `OVERLOAD`.
"""

import argparse
import json
import math
import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median
from time import perf_counter

import requests
from load import Client, LoadError
from requests import CASES, Case, connected, servers_on_other_cores
from servers import (
    FASTAPI,
    PICOWS,
    SCOPEGATE,
    WEBSOCKETS,
    Server,
    what_is_measured,
)

CONNECTIONS = 50
OUTSTANDING = (1, 2, 4, 8, 16, 32, 64)
LOADS = (2_500, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000)
"""Requests per second."""
OVERLOAD = 0.02
"""Seconds."""

COLOURS = {
    f"{SCOPEGATE} balance, signed in": "#0b6bcb",
    f"{SCOPEGATE} ping": "#5aa2e6",
    f"{PICOWS} echo of bytes": "#8a8a8a",
    f"{WEBSOCKETS} echo of bytes": "#2e8b57",
    f"{FASTAPI} echo of JSON": "#c65102",
}
SHOWN = tuple(case for case in CASES if f"{case.server} {case.call}" in COLOURS)

Line = list[tuple[float, float]]
"""Points (x, y) of one server."""


def name_of(case: Case) -> str:
    """Return what the charts call a case."""
    return f"{case.server} {case.call}"


# Measuring.


def latencies(server: Server, case: Case, per_second: float, seconds: float) -> tuple[float, float]:
    """Return the median and the 99th percentile of the latency at a load, in seconds."""
    clients = [connected(server, case) for _ in range(CONNECTIONS)]
    for client in clients:
        client.begin(case.requests, 0)
    by_number = {client.socket.fileno(): client for client in clients}
    due: dict[Client, deque[float]] = {client: deque() for client in clients}
    taken: list[float] = []
    with select.epoll() as epoll:
        for number in by_number:
            epoll.register(number, select.EPOLLIN)
        began = perf_counter()
        sent = 0
        waiting = 0
        while (now := perf_counter()) < began + seconds or waiting:
            if now > began + seconds + 1.0:
                return math.inf, math.inf  # it does not keep up at all
            while sent < seconds * per_second and (moment := began + sent / per_second) <= now:
                client = clients[sent % CONNECTIONS]
                client.send(1)
                due[client].append(moment)
                sent += 1
                waiting += 1
            for number, _ in epoll.poll(0):
                client = by_number[number]
                for _ in range(client.receive(go_on=False)):
                    taken.append(perf_counter() - due[client].popleft())
                    waiting -= 1
    for client in clients:
        client.close()
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.99)]


def measure(
    rounds: int, seconds: float
) -> tuple[dict[str, Line], dict[str, Line], dict[str, Line]]:
    """Return, by name, requests per second by outstanding ones, and p50 and p99 by load."""
    throughput: dict[str, Line] = {}
    halves: dict[str, Line] = {name_of(case): [] for case in SHOWN}
    slowest: dict[str, Line] = {name_of(case): [] for case in SHOWN}
    turns = [(case, outstanding) for outstanding in OUTSTANDING for case in SHOWN]
    with servers_on_other_cores(SHOWN) as servers:
        found = requests.measure(
            servers, turns, rounds=rounds, connections=CONNECTIONS, seconds=seconds
        )
        for (case, outstanding), samples in found.items():
            rate = median(sample.per_second for sample in samples)
            throughput.setdefault(name_of(case), []).append((outstanding, rate))
        for case in SHOWN:
            name = name_of(case)
            for load in LOADS:
                taken = [
                    latencies(servers[case.server], case, load, seconds) for _ in range(rounds)
                ]
                # Of the rounds that others on the machine have disturbed least.
                p50, p99 = (min(each) for each in zip(*taken, strict=True))
                if p99 > OVERLOAD:
                    break
                halves[name].append((load, p50 * 1e3))
                slowest[name].append((load, p99 * 1e3))
    return {name: sorted(line) for name, line in throughput.items()}, halves, slowest


# Drawing.

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 230, 50, 55


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis with a logarithmic scale."""

    title: str
    marks: Sequence[float]
    text: Callable[[float], str]

    def share(self, value: float) -> float:
        """Return where a value is: 0 at the first mark, 1 at the last."""
        low, high = math.log(self.marks[0]), math.log(self.marks[-1])
        return (math.log(value) - low) / (high - low)


def chart(title: str, x: Axis, y: Axis, lines: Sequence[tuple[str, str, Line, bool]]) -> str:
    """Return an SVG image; a line is its name, colour and points, and whether it is dashed."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return (
            LEFT + x.share(point[0]) * (right - LEFT),
            bottom - y.share(point[1]) * (bottom - TOP),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(title)}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for mark in x.marks:
        place = LEFT + x.share(mark) * (right - LEFT)
        parts.append(
            f'<path d="M{place:.1f} {TOP}V{bottom}" stroke="#e4e4e4"/>'
            f'<text x="{place:.1f}" y="{bottom + 18}" text-anchor="middle">{x.text(mark)}</text>'
        )
    for mark in y.marks:
        place = bottom - y.share(mark) * (bottom - TOP)
        parts.append(
            f'<path d="M{LEFT} {place:.1f}H{right}" stroke="#e4e4e4"/>'
            f'<text x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{y.text(mark)}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + right) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"{escape(x.title)}</text>"
        f'<text transform="translate(16 {(TOP + bottom) / 2:.0f}) rotate(-90)"'
        f' text-anchor="middle">{escape(y.title)}</text>'
    )
    names = dict.fromkeys((name, colour) for name, colour, _, _ in lines)
    for number, (name, colour) in enumerate(names):
        place = TOP + 12 + 20 * number
        parts.append(
            f'<path d="M{right + 14} {place}h24" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{right + 44}" y="{place + 4}">{escape(name)}</text>'
        )
    for _, colour, line, is_dashed in lines:
        path = "L".join("{:.1f} {:.1f}".format(*at(point)) for point in line)
        dashes = ' stroke-dasharray="5 4"' if is_dashed else ""
        if line:
            parts.append(
                f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
            )
    return "\n".join([*parts, "</svg>\n"])


def thousands(value: float) -> str:
    """Return a number of requests in thousands."""
    return f"{value / 1000:g}k"


def draw(
    folder: Path, throughput: dict[str, Line], p50: dict[str, Line], p99: dict[str, Line]
) -> None:
    """Write both charts."""
    (folder / "performance-throughput.svg").write_text(
        chart(
            "Requests per second by outstanding requests",
            Axis("outstanding on each of 50 connections", OUTSTANDING, "{:g}".format),
            Axis("requests per second", (20e3, 40e3, 80e3, 160e3, 320e3), thousands),
            [(name, COLOURS[name], line, False) for name, line in throughput.items()],
        )
    )
    (folder / "performance-latency.svg").write_text(
        chart(
            "Latency by load: median, and 99th percentile (dashed)",
            Axis("requests per second", (2_500, 5_000, 10_000, 20_000, 40_000, 80_000), thousands),
            Axis("milliseconds", (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20), "{:g}".format),
            [
                *((name, COLOURS[name], line, False) for name, line in p50.items()),
                *((name, COLOURS[name], line, True) for name, line in p99.items()),
            ],
        )
    )


def main() -> None:
    """Measure, print, and draw."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=1.5)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every point there too")
    options.add_argument("--folder", type=Path, default=Path(__file__).parent.parent / "docs")
    given = options.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise LoadError("a second core is needed for the load")
    throughput, p50, p99 = measure(given.rounds, given.seconds)
    print(what_is_measured())
    for name, lines in (("throughput", throughput), ("p50 (ms)", p50), ("p99 (ms)", p99)):
        for case, line in lines.items():
            print(f"{name:<11} {case:<30}", " ".join(f"{x:g}:{y:,.2f}" for x, y in line))
    draw(given.folder, throughput, p50, p99)
    if given.json is not None:
        points = {"throughput": throughput, "p50": p50, "p99": p99}
        given.json.write_text(json.dumps({"of": what_is_measured(), "results": points}, indent=1))


if __name__ == "__main__":
    main()
