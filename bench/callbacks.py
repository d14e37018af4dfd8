"""The longest callback of the event loop during each call, in one process.

    python bench/callbacks.py [--json FILE]

Every call is made once as a warm-up and three times more with the requests of the tests. While a
callback runs, no other client is served. The table has the ten longest, as the least of the three.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bars import Bar, report
from servers import what_is_measured

sys.path.append(str(Path(__file__).parents[1]))

from scopegate import testing
from tests.published.scenes import OWN, SCENES, signed_in

REPEATED = 3
SHOWN = 10


@contextmanager
def _longest() -> Iterator[list[float]]:
    """Note the longest callback meanwhile, in milliseconds, as the only item of the list."""
    run = asyncio.Handle._run  # noqa: SLF001 - asyncio has no hook for it
    found = [0.0]

    def timed(handle: asyncio.Handle) -> None:
        began = time.perf_counter()
        run(handle)
        found[0] = max(found[0], (time.perf_counter() - began) * 1_000)

    asyncio.Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001
    try:
        yield found
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]  # noqa: SLF001


async def longest_of(name: str) -> float:
    """Return the longest callback of a call, in milliseconds."""
    taken = []
    for _ in range(1 + REPEATED):
        async with testing.world() as world:
            client = await world.owner() if name in OWN else await signed_in(world, to_make=name)
            request = await SCENES[name](world, client)
            with _longest() as found:
                await asyncio.sleep(0)  # what runs in this step began before it was timed
                await client.ask(request)
            taken.append(found[0])
    return min(taken[1:])


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--json", type=Path, metavar="FILE", help="write every result there too")
    given = options.parse_args()
    found = {name: asyncio.run(longest_of(name)) for name in SCENES}
    print(what_is_measured())
    for name in sorted(found, key=found.__getitem__, reverse=True)[:SHOWN]:
        print(f"{found[name]:>6.2f} ms  {name}")
    bars = [Bar("longest callback of a call", max(found.values()), 5.0, "ms")]
    report(bars, found, given.json)


if __name__ == "__main__":
    main()
