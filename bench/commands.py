"""How long commands take from their start: a gateway until it listens, and two short ones.

    python bench/commands.py [--rounds 5] [--json FILE]

Each command was run once before, so that its files are in memory and its modules are compiled.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bars import Bar, report
from servers import what_is_measured
from start import started

PROGRAM = [sys.executable, "-m", "scopegate"]


def run(*arguments: str) -> str:
    """Run a command to its end, and return what it prints."""
    done = subprocess.run([*PROGRAM, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def seconds_of(*arguments: str) -> float:
    """Return the seconds that a command takes."""
    began = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - began


def seconds_until_it_listens(db: Path) -> float:
    """Return the seconds until a gateway has printed its address."""
    process, seconds = started(db)
    process.terminate()
    process.wait()
    return seconds


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", type=Path, metavar="FILE", help="write every sample there too")
    given = options.parse_args()
    samples: dict[str, list[float]] = {"serve": [], "help": [], "token": []}
    with tempfile.TemporaryDirectory(prefix="scopegate-") as folder:
        db = Path(folder) / "scopegate.db"
        seconds_until_it_listens(db)  # creates the database
        user = ("--email", "ada@example.com", "--password", "correct horse battery staple")
        opened = run("user", "create", *user, "--db", str(db))
        account = next(word for word in opened.split() if word.startswith("VR"))
        token = ("token", "create", "--loginid", account, "--scopes", "read", "--db", str(db))
        for number in range(given.rounds + 1):
            taken = {
                "serve": seconds_until_it_listens(db),
                "help": seconds_of("--help"),
                "token": seconds_of(*token, "--name", f"Token {number}"),
            }
            if number:
                for name, seconds in taken.items():
                    samples[name].append(seconds)
    print(what_is_measured())
    bars = [
        Bar("serve, until it listens", median(samples["serve"]), 0.7, "s"),
        Bar("scopegate --help", median(samples["help"]), 0.15, "s"),
        Bar("scopegate token create", median(samples["token"]), 0.3, "s"),
    ]
    report(bars, samples, given.json)


if __name__ == "__main__":
    main()
