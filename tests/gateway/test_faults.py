"""Faults decide from their seed, the number of the connection and the messages so far."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.gateway.calls.errors import ApiError
from scopegate.gateway.calls.faults import Asked, Counts, Course, Cut, Effect, Fault, Sent
from scopegate.gateway.calls.wire_faults import FaultKinds

KINDS = FaultKinds()


def tick(number: int) -> dict[str, Any]:
    return {"msg_type": "tick", "tick": {"epoch": number}}


def shown(effect: Effect[Any], numbers: range) -> list[Any]:
    """What an effect does to ticks, up to an end of the connection."""
    seen: list[Any] = []
    for number in numbers:
        sent = Sent(None, [tick(number)], may_hold=True)
        effect.sent(sent)
        seen.append((sent.messages, sent.delay, sent.held, sent.end))
        if sent.end is not None:
            break
    return seen


def connections(fault: Fault, count: int = 3) -> list[Any]:
    course = Course(fault)
    return [shown(course.begin(), range(50)) for _ in range(count)]


@given(
    text=st.sampled_from(
        [
            "latency milliseconds=5 jitter=50",
            "drop_at_random chance=0.1",
            "duplicate_events chance=0.5",
            "reorder_events chance=0.5 skip=3",
            "wrong_clock seconds=-9 chance=0.2",
        ]
    ),
    seed=st.text("abc019", min_size=1, max_size=5),
)
def test_the_same_seed_and_messages_give_the_same_run(text: str, seed: str) -> None:
    fault = KINDS.parsed(f"{text} seed={seed}")
    assert connections(fault) == connections(fault)


def test_another_seed_gives_another_run() -> None:
    runs = [connections(KINDS.parsed(f"drop_at_random seed={seed}")) for seed in range(20)]
    assert len({str(run) for run in runs}) > 15


def test_a_connection_meets_no_repetition_of_the_one_before() -> None:
    ends = [len(seen) for seen in connections(KINDS.parsed("drop_at_random chance=0.1"), 20)]
    assert len(set(ends)) > 5


def test_times_and_skip_count_over_all_connections() -> None:
    course = Course(KINDS.parsed("internal_error times=2 skip=1"))
    answers = []
    for _ in range(3):
        effect = course.begin()
        for _ in range(2):
            asked = Asked("ping")
            effect.asked(asked)
            answers.append(asked.error is not None)
    assert answers == [False, True, True, False, False, False]
    assert course.counts == Counts(connections=3, skipped=1, strikes=2)


def test_what_another_process_has_counted_counts_here() -> None:
    course = Course(KINDS.parsed("drop before=buy"))
    course.counted_elsewhere(Counts(connections=1, skipped=0, strikes=1))
    asked = Asked("buy")
    course.begin().asked(asked)
    assert asked.end is None


def test_each_count_is_passed_on() -> None:
    seen: list[Counts] = []
    course = Course(KINDS.parsed("drop before=buy"), lambda each: seen.append(each.counts))
    asked = Asked("buy")
    course.begin().asked(asked)
    assert asked.end == Cut(None)
    assert seen == [Counts(connections=1), Counts(connections=1, strikes=1)]


@pytest.mark.parametrize("kind", KINDS.kinds, ids=lambda kind: kind.kind)
def test_each_kind_is_written_as_it_is_read(kind: type[Fault]) -> None:
    required = {"lost_reply": "after=buy", "drop": "before=buy", "half_open": "after=buy"}
    text = f"{kind.kind} {required.get(kind.kind, '')} times=3 chance=0.5 seed=abc"
    fault = KINDS.parsed(text if kind.kind != "revoke_token" else f"{text} after=buy")
    assert type(fault) is kind
    assert KINDS.parsed(fault.in_words()) == fault
    assert KINDS.checked(fault.kind, fault.options()) == fault
    assert kind.sentence().endswith(".")


@pytest.mark.parametrize("text", ["", "drop after", "drop after=buy times=-1"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ApiError):
        KINDS.parsed(text)
