"""Run every benchmark, and print all bars as held or missed: `python bench [--json FILE]`.

Takes about ten minutes, in which the machine should have nothing else to do.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bars import Bar, report

PROGRAMS = (
    "requests",
    "counting",
    "workers",
    "connects",
    "buys",
    "restricted",
    "streams",
    "resumes",
    "reads",
    "callbacks",
    "growth",
    "memory",
    "commands",
    "books",
    "pricing",
)


def main() -> None:
    """Run the programs one after the other."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    given = options.parse_args()
    results = {}
    with TemporaryDirectory(prefix="scopegate-bench-") as folder:
        for name in PROGRAMS:
            print(f"== {name}", flush=True)
            written = Path(folder) / f"{name}.json"
            program = Path(__file__).with_name(f"{name}.py")
            subprocess.run([sys.executable, program, "--json", written], check=True)
            results[name] = json.loads(written.read_text())
    bars = [
        Bar(**{field: value for field, value in bar.items() if field != "verdict"})
        for result in results.values()
        for bar in result.get("bars", ())
    ]
    print("== bars")
    report(bars, results, given.json)


if __name__ == "__main__":
    main()
