"""Counting calls and misdeeds: windows that pass, and memory that stays bounded."""

import asyncio
from dataclasses import fields, replace

from scopegate.gateway.calls.counting import (
    MAX_CLIENTS,
    MESSAGE_UNIT,
    Claim,
    ConcurrencyLimiter,
    FailureCounter,
    Holder,
    RateLimiter,
    RequestLimiter,
    block_of,
)
from scopegate.gateway.calls.limits import PROFILES, Allowance, Rate
from tests.runtime.siblings_in_memory import siblings


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limiter(minutely: int, hourly: int) -> tuple[RateLimiter, Seconds]:
    seconds = Seconds()
    allowance = Allowance(minutely, hourly)
    profile = replace(
        PROFILES["open"],
        messages=allowance,
        general=allowance,
        outcome=allowance,
        pricing=allowance,
    )
    return RateLimiter(profile, seconds), seconds


def test_a_minutes_calls_are_counted_and_forgotten() -> None:
    counted, seconds = limiter(3, 100)
    assert [counted.count_call(counted.counts("a"), Rate.GENERAL) for _ in range(3)] == [None] * 3
    assert counted.count_call(counted.counts("a"), Rate.GENERAL) == "3 general calls a minute"
    assert counted.count_call(counted.counts("b"), Rate.GENERAL) is None
    assert counted.count_call(counted.counts("a"), Rate.PRICING) is None
    seconds.now += 60
    assert counted.count_call(counted.counts("a"), Rate.GENERAL) is None


def test_an_hours_calls_are_counted_across_minutes() -> None:
    counted, seconds = limiter(3, 5)
    seconds.now = 3600.0
    results = []
    for _ in range(3):
        results += [counted.count_call(counted.counts("a"), Rate.GENERAL) for _ in range(2)]
        seconds.now += 60
    assert results == [None] * 5 + ["5 general calls an hour"]
    seconds.now = 7200.0
    assert counted.count_call(counted.counts("a"), Rate.GENERAL) is None


def test_windows_that_have_passed_are_dropped() -> None:
    counted, seconds = limiter(3, 5)
    for number in range(1000):
        counted.count_call(counted.counts(number), Rate.GENERAL)
    seconds.now += 3600
    counted.count_call(counted.counts("x"), Rate.GENERAL)
    assert len(counted._clients) == 1


def test_a_message_counts_by_its_size() -> None:
    counted, seconds = limiter(5, 100)
    assert counted.count_message(counted.counts("a"), 60_000) == "5 messages a minute"
    assert counted.count_message(counted.counts("b"), MESSAGE_UNIT - 1) is None
    assert counted.count_message(counted.counts("b"), 3 * MESSAGE_UNIT) is None
    assert counted.count_message(counted.counts("b"), 0) == "5 messages a minute"
    seconds.now += 60
    assert counted.count_message(counted.counts("b"), 0) is None


def test_an_hours_messages_are_counted_across_minutes() -> None:
    counted, seconds = limiter(3, 5)
    seconds.now = 3600.0
    results = []
    for _ in range(3):
        results += [counted.count_message(counted.counts("a"), 0) for _ in range(2)]
        seconds.now += 60
    assert results == [None] * 5 + ["5 messages an hour"]
    assert counted.count_message(counted.counts("b"), 3 * MESSAGE_UNIT) == "3 messages a minute"
    seconds.now = 7200.0
    assert counted.count_message(counted.counts("a"), 0) is None


def test_messages_and_each_group_of_calls_are_counted_apart() -> None:
    counted, _ = limiter(1, 100)
    assert counted.count_message(counted.counts("a"), 0) is None
    assert [counted.count_call(counted.counts("a"), rate) for rate in Rate] == [None] * 3
    assert counted.count_message(counted.counts("a"), 0) is not None
    assert all(counted.count_call(counted.counts("a"), rate) for rate in Rate)


def test_a_crowd_of_clients_does_not_fill_the_memory() -> None:
    counted, _ = limiter(1, 100)
    for number in range(MAX_CLIENTS + 50):
        counted.count_message(counted.counts(str(number)), 0)
    assert len(counted._clients) == MAX_CLIENTS
    assert counted.count_message(counted.counts(str(MAX_CLIENTS)), 0) is not None


def test_what_is_open_at_once_is_counted_for_each_holder() -> None:
    held = ConcurrencyLimiter()
    user, app = Holder("user 1", "user"), Holder("link 1", "app", share=2)
    claims = [Claim("streams", 5)]
    for _ in range(2):
        assert held.broken_by((user, app), claims) is None
        held.take((user, app), claims)
    assert held.broken_by((user, app), claims) == "2 streams of one app"
    for _ in range(3):
        assert held.broken_by((user,), claims) is None
        held.take((user,), claims)
    assert held.broken_by((user,), claims) == "5 streams of one user"
    held.give_back((user, app), claims)
    assert held.broken_by((user, app), claims) is None
    held.give_back((user, app), claims)
    for _ in range(3):
        held.give_back((user,), claims)
    assert held._held == {}


def test_every_number_of_a_profile_is_listed() -> None:
    for profile in PROFILES.values():
        listed = {limit.name: limit.value for limit in profile.listed()}
        assert len(listed) == len(profile.listed())
        for field in fields(profile):
            value = getattr(profile, field.name)
            if isinstance(value, Allowance):
                assert listed.pop(f"{field.name}_per_minute") == value.minutely
                assert listed.pop(f"{field.name}_per_hour") == value.hourly
            else:
                assert listed.pop(field.name) == value
        assert listed == {}


def test_messages_leave_room_for_every_call_that_is_allowed() -> None:
    for profile in PROFILES.values():
        groups = [profile.allowance(rate) for rate in Rate]
        assert profile.messages.minutely >= sum(group.minutely for group in groups)
        assert profile.messages.hourly >= sum(group.hourly for group in groups)


def test_an_address_block() -> None:
    assert block_of("192.0.2.7") == "192.0.2.7"
    assert block_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert block_of("2001:db8:1:2:3:4:5:6") == block_of("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert block_of("2001:db8:1:3::1") != block_of("2001:db8:1:2::1")


def test_the_published_numbers() -> None:
    deriv = PROFILES["deriv"]
    assert deriv.general == Allowance(180, 14_400)
    assert deriv.outcome == Allowance(25, 1_500)
    assert deriv.pricing == Allowance(360, 14_400)
    assert deriv.proposal_streams == 5
    assert PROFILES["open"].general.minutely == 1_000_000


def test_misdeeds_are_remembered_for_a_minute() -> None:
    seconds = Seconds()
    failures = FailureCounter(seconds)
    for _ in range(3):
        failures.add("a")
        seconds.now += 10
    assert failures.count("a") == 3
    assert failures.count("b") == 0
    seconds.now += 45
    assert failures.count("a") == 1
    seconds.now += 60
    assert failures.count("a") == 0
    assert failures._moments == {}


def test_a_crowd_of_addresses_does_not_fill_the_memory() -> None:
    failures = FailureCounter(Seconds())
    for number in range(10_050):
        failures.add(str(number))
    for _ in range(500):
        failures.add("one")
    assert len(failures._moments) <= 10_000
    assert failures.count("one") == 100


# Several worker processes.


def test_rates_are_counted_together_within_a_part_of_the_limit() -> None:
    """Each worker knows what the others have counted, once that is notable."""
    workers = siblings(3)
    limiters = [limiter(640, 6_400) for _ in workers]
    for worker, (counted, _) in zip(workers, limiters, strict=True):
        counted.share(worker)
    (one, _), (other, _), (third, seconds) = limiters
    for _ in range(9):
        one.count_message(one.counts("a"), 0)
    one.publish()  # fewer than a 64th of the limit
    assert other.counts("a")[1] == 0
    for _ in range(91):
        one.count_message(one.counts("a"), 0)
    one.publish()
    assert other.counts("a")[1] == third.counts("a")[1] == 100
    for _ in range(50):
        other.count_call(other.counts("a"), Rate.OUTCOME)
    other.publish()
    one.publish()  # nothing more, and what came from the other is not sent back
    third.publish()
    assert [each.counts("a")[1:7] for each in (one, other, third)] == [[100, 100, 0, 0, 50, 50]] * 3
    seconds.now += 60
    assert third.counts("a")[1:3] == [0, 100]  # another minute of the same hour
    for _ in range(10):
        third.count_message(third.counts("a"), 0)
    third.publish()
    assert one.counts("a")[1:3] == [110, 110]
    assert third.counts("a")[1:3] == [10, 110]


def test_what_was_counted_elsewhere_is_forgotten_with_its_hour() -> None:
    workers = siblings(2)
    (one, _), (other, seconds) = limiter(64, 6_400), limiter(64, 6_400)
    for worker, counted in zip(workers, (one, other), strict=True):
        counted.share(worker)
    one.count_message(one.counts("a"), 0)
    one.publish()
    assert other.counts("a")[1:3] == [1, 1]
    seconds.now = 7_200.0
    assert other.counts("a")[1:3] == [0, 0]
    other.count_message(other.counts("a"), 0)
    other.publish()
    assert one.counts("a")[1:3] == [2, 2]


async def test_what_is_open_is_counted_together_until_its_worker_ends() -> None:
    workers = siblings(2)
    one, other = ConcurrencyLimiter(), ConcurrencyLimiter()
    for worker, counted in zip(workers, (one, other), strict=True):
        counted.share(worker)
    user, claims = [Holder("user 1", "user")], [Claim("connections", 3)]
    one.take(user, claims)
    one.take(user, claims)
    await asyncio.sleep(0)
    assert other.broken_by(user, claims) is None
    other.take(user, claims)
    await asyncio.sleep(0)
    assert (
        one.broken_by(user, claims) == other.broken_by(user, claims) == "3 connections of one user"
    )
    one.give_back(user, claims)
    await asyncio.sleep(0)
    assert other.broken_by(user, claims) is None
    workers[1].set_present([1])  # the first has ended
    assert other.broken_by(user, [Claim("connections", 2)]) is None
    assert other.broken_by(user, [Claim("connections", 1)]) is not None
    # Its replacement learns what is open here.
    again, begun = ConcurrencyLimiter(), siblings(2)
    again.share(begun[0])
    held = ConcurrencyLimiter()
    held.share(begun[1])
    held.take(user, claims)
    await asyncio.sleep(0)
    begun[1].set_present([1])
    again._of_sibling, again._elsewhere = {}, {}
    begun[1].set_present([0, 1])
    assert again.broken_by(user, [Claim("connections", 1)]) is not None


def test_failures_and_requests_are_counted_together() -> None:
    first, second = siblings(2)
    one = FailureCounter().share(first, "passwords")
    other = FailureCounter().share(second, "passwords")
    one.add("192.0.2.1")
    one.add("192.0.2.1")
    one.take_back("192.0.2.1")
    assert other.count("192.0.2.1") == 1
    pages, others = RequestLimiter(3), RequestLimiter(3)
    pages.share(first)
    others.share(second)
    for _ in range(3):
        assert pages.count("192.0.2.1") is None
    assert others.count("192.0.2.1") is None
    pages.publish()
    pages.publish()
    assert others.count("192.0.2.1") == "3 requests a minute"
    assert others.count("192.0.2.2") is None
