"""Runs cases against a server: `python -m tests.conformance.fuzzing URL AT_ONCE CASE ...`.

At most `AT_ONCE` cases run at the same time. The verdict on each is a line of JSON. A process of
its own, because the runner changes `sys.path` and the standard library for its cases.
"""

import asyncio
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient


async def main(url: str, at_once: int, cases: list[str]) -> None:
    """Run the cases, and print the verdicts."""
    try:
        results = await run_fuzzingclient(url, cases, concurrency=at_once)
    except FailureError as failure:
        results = failure.results
    for each in results:
        verdict = each.behavior.value
        if not each.passed:
            verdict += f", close {each.behavior_close.value}"
        print(json.dumps([each.case_id, verdict]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
    sys.stdout.flush()
    os._exit(0)  # threads of the runner sometimes abort the process when the interpreter ends
