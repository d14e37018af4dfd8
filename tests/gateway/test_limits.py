"""Counting calls and misdeeds: windows that pass, and memory that stays bounded."""

from dataclasses import fields, replace

from scopegate.gateway.calls.limits import (
    MAX_CLIENTS,
    MESSAGE_UNIT,
    PROFILES,
    Allowance,
    Claim,
    ConcurrencyLimiter,
    FailureCounter,
    Holder,
    Rate,
    RateLimiter,
    block_of,
)


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
