"""What the system knows about this process, under the names that Prometheus uses for it."""

import os
from collections.abc import Iterator
from contextlib import suppress

from scopegate.runtime.metrics import Metric, counter, gauge


def process_metrics(started: float) -> Iterator[Metric]:
    """Return the processor time, memory and open files of this process, as far as known.

    `started` is when it began, in epoch seconds. Memory that worker processes share counts for each
    of them.
    """
    used = os.times()
    cpu = used.user + used.system
    yield counter("cpu_seconds", "Seconds of processor time.", cpu)
    yield gauge("start_time_seconds", "The start, in epoch seconds.", started)
    with suppress(OSError):  # only Linux has these
        with open("/proc/self/statm", "rb") as pages:
            size = int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        yield gauge("resident_memory_bytes", "Bytes of memory in use.", size)
        files = len(os.listdir("/proc/self/fd"))
        yield gauge("open_fds", "Open files and sockets.", files)
    with suppress(ImportError):  # not on Windows
        import resource

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY:
            yield gauge("max_fds", "Files and sockets that may be open.", most)
