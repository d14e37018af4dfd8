"""One simulation: the gateway, its clients and its faults. Import it once the rest is replaced."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Final

import structlog

from scopegate.exchange import ledger
from scopegate.gateway.access import tokens, users
from scopegate.store.transactions import Transaction
from tests.simulation.checks import Checks
from tests.simulation.database import Machine
from tests.simulation.faults import Faults
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Connection, Network
from tests.simulation.processes import Processes
from tests.simulation.surroundings import Chance, clock
from tests.simulation.traders import Trader

SCALES: Final = (10e-6, 1e-3, 20e-3)
"""Mean delays in seconds, of which each simulation draws its own: a bug may need any of them."""
TRADERS: Final = 5
CONNECTIONS: Final = 2
"""Of each trader, at the same time."""
OPENING: Final = 1_000_000
"""The opening balance of each account, in cents."""
REST_EVERY: Final = 60.0
REST_SECONDS: Final = 40.0
"""Until every contract has ended, and everything is delivered."""
RETURN_SECONDS: Final = 60.0
"""Within so many seconds the gateway is back after a fault."""
OF_A_FAULT: Final = "the store is unavailable"
"""What the gateway logs as an error if the machine has a fault."""


class Simulation:
    """A simulation from a seed."""

    def __init__(
        self, chance: Chance, machine: Machine, db: Path, *, workers: int, trace: bool
    ) -> None:
        """`machine` has replaced the connections to databases; `db` is where ours will be."""
        self.checks = Checks(db, workers)
        self.digest = hashlib.sha256()
        """Of everything that left the gateway, in its order."""
        threads, delays = chance["threads"], chance["delays"]
        machine.scale = delays.choice(SCALES)
        machine.after_function = self.checks.committed
        self._chance = chance
        self._trace = trace
        self._is_calm = False
        self._loop = SimulatedLoop(lambda: threads.expovariate(1.0) * 1e-3)
        self._network = self._loop.network = Network(self._loop, chance, delays.choice(SCALES))
        self._network.on_message = self._sent
        self._network.on_close = self.checks.closed
        self._processes = Processes(
            self._loop, self._network, chance, db, workers, on_failure=self._failed
        )
        self._faults = Faults(self._loop, self._network, machine, self._processes, self.checks)
        structlog.configure(processors=[self._logged], cache_logger_on_first_use=False)

    def run(self, seconds: float) -> str:
        """Run for so many simulated seconds; what was wrong, or an empty text."""
        asyncio.set_event_loop(self._loop)
        everything = self._loop.create_task(self._everything(seconds))
        try:
            self._loop.run_until_complete(self._until_over(everything))
            if everything.done() and (problem := everything.exception()) is not None:
                self._failed(problem)
            return self._problem()
        finally:
            self.checks.end()

    async def _until_over(self, everything: asyncio.Task[None]) -> None:
        while not everything.done() and not self._problem():
            await asyncio.sleep(0.05)

    def _problem(self) -> str:
        if self.checks.problem is None and self._loop.failures:
            self._failed(self._loop.failures[0])
        return "" if self.checks.problem is None else str(self.checks.problem)

    def _failed(self, problem: BaseException) -> None:
        self.checks.fail(f"not handled: {problem!r}")

    def _logged(self, logger: Any, method: str, event: dict[str, Any]) -> Any:
        if method == "warning":
            self.checks.seen[f"warned: {event['event']}"] += 1
        elif method in ("error", "critical", "exception") and not (
            event["event"] == OF_A_FAULT and self.checks.machine_is_faulty
        ):
            self.checks.fail(f"logged: {event}")
        raise structlog.DropEvent

    def _sent(self, connection: Connection, text: bytes) -> None:
        self.digest.update(text)
        if self._trace:
            print(f"{clock.now:.6f} to {connection.number}: {text.decode()[:400]}")
        self.checks.message(connection, text)

    async def _everything(self, seconds: float) -> None:
        await self._processes.start_all()
        self.checks.begin()
        living = [
            self._loop.create_task(trader.live())
            for trader in await self._traders()
            for _ in range(CONNECTIONS)
        ]
        living.append(self._loop.create_task(self._fail_now_and_then()))
        ends = clock.now + seconds
        while clock.now < ends:
            await asyncio.sleep(REST_EVERY)
            await self._rest()
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        await self._processes.stop_all()
        self.checks.at_rest()

    async def _traders(self) -> list[Trader]:
        """Create the users with their accounts and first tokens."""
        gateway = self._processes.each[0].gateway
        assert gateway is not None
        at, scopes = gateway.clock.now(), gateway.registry.scopes.names

        def job(transaction: Transaction) -> list[tuple[list[str], str]]:
            made = []
            for number in range(TRADERS):
                user_id = users.create(transaction, f"trader{number}@example.com")
                loginids = [
                    ledger.open_account(
                        transaction, user_id, currency="USD", is_virtual=False, at=at
                    ).loginid
                    for _ in range(2)
                ]
                for loginid in loginids:
                    ledger.set_balance(transaction, loginid, "deposit", OPENING, at=at)
                new = tokens.NewToken(loginids[0], f"m{number}", scopes)
                made.append((loginids, tokens.create(transaction, new)))
            return made

        traders = [
            Trader(
                number,
                self._network,
                self.checks,
                self._chance[f"trader {number}"],
                accounts,
                token,
                is_calm=lambda: self._is_calm,
            )
            for number, (accounts, token) in enumerate(await gateway.store.write(job))
        ]
        for trader in traders:
            trader.others = [each for each in traders if each is not trader]
        return traders

    async def _fail_now_and_then(self) -> None:
        chance = self._chance["faults"]
        kinds, mean = self._faults.draw(chance)
        failing: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(chance.expovariate(1 / mean))
            if not self._is_calm:
                kind = chance.choice(kinds)
                if self._trace:
                    print(f"{clock.now:.6f} fault: {kind}")
                failing.add(fault := self._loop.create_task(self._faults.happen(kind, chance)))
                fault.add_done_callback(failing.discard)

    async def _rest(self) -> None:
        """Let everything come to an end, and check it."""
        self._is_calm = True
        for connection in self._network.connections:
            connection.read_on()
        ends = clock.now + RETURN_SECONDS
        while not self._processes.serve or self._faults.lasting:
            await asyncio.sleep(0.1)
            if clock.now > ends:
                raise TimeoutError("the gateway does not come back")
        self.checks.quiet_since = clock.now
        await asyncio.sleep(REST_SECONDS)
        self.checks.machine_is_faulty = False
        self.checks.at_rest()
        self.checks.quiet_since = None
        self._is_calm = False
