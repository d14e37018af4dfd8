"""The waits between two attempts to connect."""

from scopegate.client.backoff import Backoff


def test_waits_grow_up_to_a_bound_and_differ_by_chance() -> None:
    backoff = Backoff(first=0.5, factor=2, longest=8)
    for failures, longest in enumerate((0.5, 1, 2, 4, 8, 8)):
        waits = [backoff.wait(failures) for _ in range(100)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 90
    assert backoff.wait(10_000) <= 8
