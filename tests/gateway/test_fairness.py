"""Fair scheduling: the order of service, waiting work, and work that is dropped."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.gateway.calls import scheduling
from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.scheduling import FairQueue, Scheduler, Workers, one_by_one

MESSAGE = scheduling.QUANTUM / 4
"""What a message costs that is not worth a turn of its own."""


class Loop:
    """An event loop whose time passes by what is done."""

    def __init__(self) -> None:
        self.now = 100.0
        self.done: list[str] = []
        self.others_wait = False
        self._soon: list[Callable[[], None]] = []
        self.scheduler = Scheduler(
            clock=lambda: self.now,
            call_soon=self._soon.append,
            others_wait=lambda: self.others_wait,
        )

    def go_on(self, most: int = 10_000) -> None:
        """Do what is due, until nothing is."""
        while self._soon and most:
            most -= 1
            due, self._soon[:] = list(self._soon), []
            for callback in due:
                callback()

    @property
    def is_idle(self) -> bool:
        return not self._soon


class Messages:
    """A connection with messages that each cost some time."""

    def __init__(self, loop: Loop, client: str, name: str = "", *, signed_in: bool = True) -> None:
        self.queued = False
        self.costs: list[float] = []
        self.most_late = 0.0
        self._loop = loop
        self._name = name or client
        self.load = loop.scheduler.load(client, signed_in=signed_in)

    def receive(self, *costs: float) -> None:
        self.costs.extend(costs)
        if not self.queued:
            self._loop.scheduler.run(self.load, self)

    def serve(self, until: float) -> bool:
        while self.costs:
            self._loop.now += self.costs.pop(0)
            self._loop.done.append(self._name)
            if self._loop.now > until:
                self.most_late = max(self.most_late, self._loop.now - until)
                break
        return bool(self.costs)

    turn = serve


def test_a_client_alone_is_served_at_once() -> None:
    loop = Loop()
    alone = Messages(loop, "ada")
    for _ in range(100):
        alone.receive(MESSAGE)
        assert not alone.costs
        loop.now += 1.0
    assert loop.is_idle


@pytest.mark.parametrize("signed_in", [True, False])
def test_many_connections_of_one_client_have_one_turn_together(signed_in: bool) -> None:
    loop = Loop()
    flood = [Messages(loop, "eve", f"eve {number}", signed_in=signed_in) for number in range(64)]
    honest = Messages(loop, "ada", signed_in=signed_in)
    for each in flood:  # all are read in one go, and then the honest client's
        each.receive(*[MESSAGE] * 100)
    before = len(loop.done)
    honest.receive(MESSAGE)
    loop.go_on()
    waited = loop.done.index("ada") - before
    assert waited <= scheduling.QUANTUM / MESSAGE + 1
    assert len(loop.done) == 6_401


def test_a_round_gives_way_to_what_else_waits_for_the_loop() -> None:
    loop = Loop()
    flood = [Messages(loop, f"10.0.0.{number}", signed_in=False) for number in range(250)]
    for each in flood:
        each.receive(*[MESSAGE] * 20)

    def served() -> float:
        """The seconds that the next round serves somebody."""
        before = len(loop.done)
        loop.go_on(1)
        return (len(loop.done) - before) * MESSAGE

    assert served() >= scheduling.ROUND
    loop.others_wait = True
    assert served() == 0
    assert served() == 0
    assert not loop.is_idle
    loop.now += scheduling.ROUND  # they wait all the time, so there is one turn nevertheless
    assert 0 < served() <= scheduling.QUANTUM + MESSAGE
    assert served() == 0
    loop.others_wait = False
    loop.go_on()
    assert len(loop.done) == 5_000


def test_where_no_sockets_are_read_a_round_gives_way_to_nothing() -> None:
    loop = Loop()
    loop.scheduler.round_length = math.inf
    loop.others_wait = True
    flood = [Messages(loop, f"10.0.0.{number}", signed_in=False) for number in range(10)]
    for each in flood:
        each.receive(*[MESSAGE] * 20)
    loop.go_on(1)
    assert loop.is_idle
    assert len(loop.done) == 200


def test_any_number_of_strangers_have_one_turn_before_a_user() -> None:
    loop = Loop()
    flood = [Messages(loop, f"10.0.0.{number}", signed_in=False) for number in range(250)]
    user = Messages(loop, "ada")
    for each in flood:
        each.receive(*[MESSAGE] * 20)
    before = len(loop.done)
    user.receive(MESSAGE)
    loop.go_on()
    assert loop.done.index("ada") - before <= scheduling.QUANTUM / MESSAGE + 1
    assert len(loop.done) == 5_001


def test_strangers_have_some_users_shares_together() -> None:
    loop = Loop()
    users = [Messages(loop, f"user {number}") for number in range(2 * scheduling.STRANGERS)]
    strangers = [Messages(loop, f"stranger {number}", signed_in=False) for number in range(100)]
    for each in users + strangers:
        each.receive(*[MESSAGE] * 2_000)
    del loop.done[:]
    loop.go_on(most=1_000)
    share = sum(name.startswith("stranger") for name in loop.done) / len(loop.done)
    assert share == pytest.approx(1 / 3, abs=0.02)
    turns = Counter(name for name in loop.done if name.startswith("stranger"))
    assert len(turns) == 100
    assert max(turns.values()) - min(turns.values()) <= 2 * scheduling.QUANTUM / MESSAGE


def test_a_stranger_does_not_wait_for_users_who_keep_the_gateway_busy() -> None:
    loop = Loop()
    users = [Messages(loop, f"user {number}") for number in range(50)]
    stranger = Messages(loop, "10.0.0.1", signed_in=False)
    for each in users:
        each.receive(*[MESSAGE] * 200)
    loop.go_on(most=100)
    before = len(loop.done)
    stranger.receive(MESSAGE)
    loop.go_on()
    assert loop.done.index("10.0.0.1") - before <= scheduling.QUANTUM / MESSAGE + 1


def test_the_connections_of_one_client_take_turns() -> None:
    loop = Loop()
    first, second = Messages(loop, "eve", "first"), Messages(loop, "eve", "second")
    first.receive(*[MESSAGE] * 100)
    second.receive(*[MESSAGE] * 100)
    loop.go_on()
    middle = Counter(loop.done[20:120])
    assert abs(middle["first"] - middle["second"]) <= 2 * scheduling.QUANTUM / MESSAGE


def test_a_client_between_two_readings_of_the_sockets_is_served_at_once() -> None:
    loop = Loop()
    flood, honest = Messages(loop, "eve"), Messages(loop, "ada")
    flood.receive(*[MESSAGE] * 1_000)
    for _ in range(10):
        loop.go_on(most=1)  # a round
        honest.receive(MESSAGE)
        assert not honest.costs
        assert flood.queued


@pytest.mark.parametrize("signed_in", [True, False])
def test_an_idle_client_saves_up_nothing_and_a_client_alone_owes_nothing(signed_in: bool) -> None:
    loop = Loop()
    old, new = (Messages(loop, name, signed_in=signed_in) for name in ("eve", "ada"))
    for _ in range(1_000):
        old.receive(MESSAGE)
        loop.now += 1.0
    old.receive(*[MESSAGE] * 200)
    new.receive(*[MESSAGE] * 200)
    del loop.done[:]
    loop.go_on()
    first = Counter(loop.done[:100])
    assert abs(first["eve"] - first["ada"]) <= 3 * scheduling.QUANTUM / MESSAGE


@pytest.mark.parametrize("signed_in", [True, False])
def test_long_messages_are_paid_for_afterwards(signed_in: bool) -> None:
    loop = Loop()
    heavy, light = (Messages(loop, name, signed_in=signed_in) for name in ("eve", "ada"))
    heavy.receive(*[20 * MESSAGE] * 50)
    light.receive(*[MESSAGE] * 900)
    del loop.done[:]
    loop.go_on()
    at = loop.done.index("eve", loop.done.index("eve") + 1)
    assert Counter(loop.done[:at])["ada"] >= 20 - scheduling.QUANTUM / MESSAGE


def test_only_so_many_handlers_of_a_client_wait_at_once() -> None:
    loop = Loop()
    flood = [Messages(loop, "eve", f"eve {number}") for number in range(20)]
    load = flood[0].load
    for _ in range(scheduling.MAX_RUNNING):
        loop.scheduler.started(load)
    for each in flood:
        each.receive(MESSAGE)
    other = Messages(loop, "ada")
    other.receive(MESSAGE)
    loop.go_on()
    assert loop.done == ["ada"]
    loop.scheduler.finished(load)
    loop.go_on()
    assert len(loop.done) == 21


def test_a_client_without_connections_is_forgotten() -> None:
    loop = Loop()
    gone = Messages(loop, "eve")
    gone.receive(MESSAGE)
    load = gone.load
    assert loop.scheduler.load("eve", signed_in=True) is load
    del gone
    number = id(load)
    del load
    assert len(loop.scheduler._loads) == 0, number


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.lists(st.floats(0, 0.02), max_size=5)),
        max_size=40,
    )
)
def test_everything_is_served_once_and_in_order(
    steps: list[tuple[int, int, list[float]]],
) -> None:
    loop = Loop()
    connections = {
        (client, number): Messages(
            loop, str(client), f"{client}.{number}", signed_in=bool(client % 2)
        )
        for client in range(4)
        for number in range(3)
    }
    for client, number, costs in steps:
        connections[client, number].receive(*costs)
        loop.go_on(most=client)
    loop.go_on()
    assert loop.is_idle
    assert not any(each.costs for each in connections.values())
    assert len(loop.done) == sum(len(costs) for _, _, costs in steps)
    assert not any(each.queued for each in connections.values())


async def test_a_handlers_steps_are_charged_to_its_client() -> None:
    loop = Loop()
    load = loop.scheduler.load("eve", signed_in=True)

    async def handler() -> str:
        loop.now += 1.0
        with pytest.raises(ValueError, match="thrown"):
            await failing
        loop.now += 2.0
        return "done"

    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(awaited(loop.scheduler.charged(load, handler())))
    await asyncio.sleep(0)
    assert load.time == 1.0
    failing.set_exception(ValueError("thrown"))
    assert await task == "done"
    assert load.time == 3.0


async def awaited(work: Any) -> Any:
    return await work


# Queues.


class Turns:
    """Tasks that each want a turn in a queue, and hold it until they are told to end."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.begun: list[str] = []
        self.refused: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def want(self, *names: str) -> None:
        """One turn for each name, whose first letter is the client."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.ensure_future(self._one(name))
        await settle()

    async def _one(self, name: str) -> None:
        try:
            async with self.queue.turn(name[0], "call"):
                self.begun.append(name)
                await self._ends[name].wait()
        except ApiError as full:
            self.refused.append(f"{name}: {(full.details or {})['limit']}")

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settle()

    async def cancel(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_clients_have_turns_one_after_the_other() -> None:
    turns = Turns(FairQueue(1))
    await turns.want("a1", "a2", "a3", "b1", "c1", "b2")
    for name in ("a1", "b1", "c1", "a2", "b2", "a3"):
        assert turns.begun[-1] == name
        await turns.end(name)
    assert len(turns.begun) == 6


async def test_one_client_has_one_turn_though_more_are_free() -> None:
    turns = Turns(FairQueue(3))
    await turns.want("a1", "a2", "b1")
    assert turns.begun == ["a1", "b1"]
    await turns.end("b1")
    assert turns.begun == ["a1", "b1"]
    await turns.end("a1")
    assert turns.begun == ["a1", "b1", "a2"]


async def test_a_full_queue_refuses_the_client_with_most_in_it() -> None:
    turns = Turns(FairQueue(1, max_per_client=3, max_waiting=4))
    await turns.want("a1", "a2", "a3", "a4", "a5")
    assert turns.refused == ["a5: 3 waiting at once for one client"]
    await turns.want("b1", "c1")
    assert turns.refused[1:] == ["a4: 4 waiting at once"]
    await turns.want("d1")
    assert turns.refused[2:] == ["a3: 4 waiting at once"]
    await turns.want("e1")
    assert turns.refused[3:] == ["e1: 4 waiting at once"]
    for name in ("a1", "b1", "c1", "d1", "a2"):
        assert turns.begun[-1] == name or name in turns.begun
        await turns.end(name)
    assert sorted(turns.begun) == ["a1", "a2", "b1", "c1", "d1"]
    assert turns.queue.waiting == 0


async def test_a_cancelled_turn_frees_its_place() -> None:
    turns = Turns(FairQueue(1))
    await turns.want("a1", "b1", "b2", "c1")
    await turns.cancel("b1")
    await turns.cancel("a1")
    assert turns.begun == ["a1", "b2"]
    await turns.cancel("c1")
    await turns.end("b2")
    await turns.want("d1")
    assert turns.begun == ["a1", "b2", "d1"]
    assert turns.queue.waiting == 0


async def test_a_cancelled_turn_does_not_count_as_waiting() -> None:
    turns = Turns(FairQueue(1, max_per_client=1))
    await turns.want("a1", "a2")
    await turns.cancel("a2")
    await turns.want("a3", "a4")
    assert turns.refused == ["a4: 1 waiting at once for one client"]
    await turns.end("a1", "a3")
    assert turns.begun == ["a1", "a3"]


async def test_a_turn_that_is_granted_to_a_cancelled_task_goes_to_the_next() -> None:
    turns = Turns(FairQueue(1))
    await turns.want("a1", "b1", "c1")
    turns._ends["a1"].set()
    await asyncio.sleep(0)
    turns.tasks["b1"].cancel()
    await settle()
    assert turns.begun[-1] == "c1"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("wec"), st.integers(0, 9))))
async def test_no_turn_is_lost_and_none_is_given_twice(steps: list[tuple[str, str, int]]) -> None:
    turns = Turns(FairQueue(2, max_per_client=3, max_waiting=5))
    for number, (client, step, which) in enumerate(steps):
        name = f"{client}{which}"
        if step == "w":
            await turns.want(f"{client}{which}.{number}")
        else:
            for found in [each for each in turns.tasks if each.startswith(name)][:1]:
                await (turns.end(found) if step == "e" else turns.cancel(found))
    for name in list(turns.tasks):
        await turns.end(name)
    await asyncio.gather(*turns.tasks.values(), return_exceptions=True)
    assert turns.queue.waiting == 0
    await turns.want("x1", "y1")
    assert turns.begun[-2:] == ["x1", "y1"]
    await turns.end("x1", "y1")
    await asyncio.gather(*turns.tasks.values(), return_exceptions=True)


# Workers.


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Workers whose slices are as short as they may be."""
    monkeypatch.setattr(scheduling, "SLICE", 0.0)
    made = Workers()
    yield made
    made.close()


def steps(name: str, count: int, done: list[str]) -> Generator[None, None, str]:
    for _ in range(count):
        done.append(name)
        yield
    return name


async def test_work_is_done_in_slices_between_those_of_others(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "_slice", a_step)
    done: list[str] = []
    names = ["a", "a", "b"]
    found = await asyncio.gather(
        *(
            workers.compute(name, "call", steps(name + str(n), 4, done))
            for n, name in enumerate(names)
        )
    )
    assert found == ["a0", "a1", "b2"]
    assert done[:8] == ["a0", "b2"] * 4  # after it had begun, each waits for the other
    assert done[8:] == ["a1"] * 4


async def test_more_clients_than_threads_have_their_slices_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scheduling, "WORKERS", 1)
    monkeypatch.setattr(scheduling, "_slice", a_step)
    workers = Workers()
    done: list[str] = []
    await asyncio.gather(*(workers.compute(name, "call", steps(name, 4, done)) for name in "abc"))
    workers.close()
    assert done == ["a", "b", "c"] * 4


def a_step(work: Generator[None, None, Any], _: object) -> tuple[bool, Any]:
    """One step of the work instead of as many as fit into a while."""
    try:
        next(work)
    except StopIteration as returned:
        return True, returned.value
    return False, None


def test_a_slice_is_no_more_of_the_work_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between slices others have their turns, and cancelled work stops."""
    monkeypatch.setattr(scheduling, "SLICE", 0.0)
    done: list[str] = []
    work = steps("a", 3, done)
    slices = [scheduling._slice(work, lambda: False) for _ in range(4)]
    assert slices == [(False, None)] * 3 + [(True, "a")]
    assert len(done) == 3


def test_a_computation_pauses_while_it_should_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "SLICE", 1_000.0)
    monkeypatch.setattr(scheduling, "MAX_PAUSE", 1_000.0)
    done: list[str] = []
    wishes = iter([False, True, True, True, False, False])
    seen: list[int] = []

    def gives_way() -> bool:
        seen.append(len(done))
        return next(wishes)

    assert scheduling._slice(steps("a", 3, done), gives_way) == (True, "a")
    assert seen == [1, 2, 2, 2, 2, 3]  # no step was made meanwhile


def test_a_computation_gives_way_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "MAX_PAUSE", 0.0)
    work = steps("a", 3, [])
    while not scheduling._slice(work, lambda: True)[0]:
        pass


async def test_cancelled_work_stops(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "_slice", a_step)
    done: list[str] = []
    endless = asyncio.ensure_future(workers.compute("a", "call", steps("a", 10**9, done)))
    waiting = asyncio.ensure_future(workers.compute("a", "call", steps("never", 1, done)))
    await workers.compute("b", "call", steps("b", 3, done))
    waiting.cancel()
    endless.cancel()
    await asyncio.gather(endless, waiting, return_exceptions=True)
    assert await workers.compute("a", "call", one_by_one(iter("xyz"))) == ["x", "y", "z"]
    count = len(done)
    await settle()
    assert len(done) == count
    assert "never" not in done
