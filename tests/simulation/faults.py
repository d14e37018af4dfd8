"""What goes wrong in a simulation, when chance wants it.

Rules:
- Faults overlap, also with starts; only one of the same kind lasts at a time.
- A fault is counted once it had an effect.
"""

import asyncio
import random
from collections.abc import Sequence

from tests.simulation.checks import Checks
from tests.simulation.database import Machine
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.processes import Processes
from tests.simulation.surroundings import clock

ALWAYS = (
    *("reset", "reset", "vanish", "stall", "slow", "full", "pause"),
    *("kill", "kill all", "restart"),
)
CLOCK_SECONDS = 3.0
"""Nobody sets a clock twice within so many seconds."""


class Faults:
    """Lets things fail."""

    def __init__(
        self,
        loop: SimulatedLoop,
        network: Network,
        machine: Machine,
        processes: Processes,
        checks: Checks,
    ) -> None:
        self.lasting: set[str] = set()
        """The kinds that last at present."""
        self._loop = loop
        self._network = network
        self._machine = machine
        self._processes = processes
        self._checks = checks

    def draw(self, chance: random.Random) -> tuple[Sequence[str], float]:
        """Choose the kinds of this simulation, and the mean of the seconds between two."""
        further = chance.choice(((), (), ("clock",), ("kill all",) * 6))
        return (*ALWAYS, *further), chance.choice((3.0, 10.0, 30.0))

    async def happen(self, kind: str, chance: random.Random) -> None:
        """Let a fault of this kind begin, and wait for its end if it lasts."""
        if kind in self.lasting:
            return
        self.lasting.add(kind)
        try:
            if await self._happen(kind, chance):
                self._checks.seen[f"fault: {kind}"] += 1
        finally:
            self.lasting.discard(kind)

    async def _happen(self, kind: str, chance: random.Random) -> bool:
        if kind in ("reset", "vanish", "stall"):
            return self._cut(kind, chance)
        if kind == "kill":
            return self._processes.kill(chance.randrange(self._processes.count))
        if kind == "kill all":
            return self._processes.kill_all()
        if kind == "restart":
            return await self._processes.restart()
        if kind == "slow":
            self._machine.slowness = chance.choice((10.0, 100.0))
            await asyncio.sleep(chance.expovariate(1 / 2.0))
            self._machine.slowness = 1.0
        elif kind == "full":
            self._checks.machine_is_faulty = self._machine.is_full = True
            await asyncio.sleep(chance.expovariate(1 / 1.0))
            self._machine.is_full = False
        elif kind == "clock":
            self._checks.clock_was_set = True
            clock.offset += chance.choice((-1, 1)) * chance.choice((2.0, 60.0, 7_200.0))
            await asyncio.sleep(CLOCK_SECONDS)
        else:
            one = chance.choice(self._processes.each) if self._processes.each else None
            if one is None or not one.is_ready:
                return False
            self._loop.pause(one)
            await asyncio.sleep(chance.expovariate(1 / 2.0))
            self._loop.go_on(one)
        return True

    def _cut(self, kind: str, chance: random.Random) -> bool:
        connections = [each for each in self._network.connections if each.is_open]
        if not connections:
            return False
        connection = chance.choice(connections)
        if kind == "reset":
            connection.reset()
        elif kind == "vanish":
            connection.vanish()
        else:
            connection.stall()
            self._loop.call_later(chance.expovariate(1 / 5.0), connection.read_on)
        return True
