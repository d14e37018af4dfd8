"""How much work a test does: the suite has short forms, `make proofs` runs the long ones."""

import os

LONG = os.environ.get("SCOPEGATE_PROOFS", "") == "long"
"""Whether this run is a long one."""


def chosen(short: int, long: int) -> int:
    """How many repetitions a test makes in this run."""
    return long if LONG else short
