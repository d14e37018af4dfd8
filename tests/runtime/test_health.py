"""Whether a process can serve clients, as its checks say."""

from structlog.testing import capture_logs

from scopegate.runtime.health import UNKNOWN, Health


def test_the_first_fault_counts() -> None:
    health = Health()
    assert health.fault() is None
    health.add(lambda: None)
    health.add(lambda: "the market is late")
    health.add(lambda: "the disk is full")
    assert health.fault() == "the market is late"


def test_a_check_that_fails_is_logged_and_is_a_fault() -> None:
    def broken() -> None:
        raise RuntimeError("cannot be checked")

    health = Health()
    health.add(broken)
    with capture_logs() as logged:
        assert health.fault() == UNKNOWN
        [ready] = health.metrics()
    assert ready.samples[0].value == 0
    assert {line["event"] for line in logged} == {"a check of the health failed"}
