"""Counting calls and misdeeds: windows that pass, and memory that stays bounded."""

from dataclasses import replace

from gateway.limits import PROFILES, Allowance, Penalty, Rate, RateLimiter


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
    assert [counted.broken_by("a", Rate.GENERAL) for _ in range(3)] == [None] * 3
    assert counted.broken_by("a", Rate.GENERAL) == "3 general calls a minute"
    assert counted.broken_by("b", Rate.GENERAL) is None
    assert counted.broken_by("a", Rate.PRICING) is None
    seconds.now += 60
    assert counted.broken_by("a", Rate.GENERAL) is None


def test_an_hours_calls_are_counted_across_minutes() -> None:
    counted, seconds = limiter(3, 5)
    seconds.now = 3600.0
    results = []
    for _ in range(3):
        results += [counted.broken_by("a", Rate.GENERAL) for _ in range(2)]
        seconds.now += 60
    assert results == [None] * 5 + ["5 general calls an hour"]
    seconds.now = 7200.0
    assert counted.broken_by("a", Rate.GENERAL) is None


def test_windows_that_have_passed_are_dropped() -> None:
    counted, seconds = limiter(3, 5)
    for number in range(1000):
        counted.broken_by(number, Rate.GENERAL)
    seconds.now += 3600
    counted.broken_by("x", Rate.GENERAL)
    assert len(counted._clients) == 1


def test_the_published_numbers() -> None:
    deriv = PROFILES["deriv"]
    assert deriv.general == Allowance(180, 14_400)
    assert deriv.outcome == Allowance(25, 1_500)
    assert deriv.pricing == Allowance(360, 14_400)
    assert deriv.proposal_streams == 5
    assert PROFILES["open"].general.minutely == 1_000_000


def test_misdeeds_are_remembered_for_a_minute() -> None:
    seconds = Seconds()
    penalty = Penalty(seconds)
    for _ in range(3):
        penalty.add("a")
        seconds.now += 10
    assert penalty.count("a") == 3
    assert penalty.count("b") == 0
    seconds.now += 45
    assert penalty.count("a") == 1
    seconds.now += 60
    assert penalty.count("a") == 0
    assert penalty._moments == {}


def test_a_crowd_of_addresses_does_not_fill_the_memory() -> None:
    penalty = Penalty(Seconds())
    for number in range(10_050):
        penalty.add(str(number))
    for _ in range(500):
        penalty.add("one")
    assert len(penalty._moments) <= 10_000
    assert penalty.count("one") == 100
