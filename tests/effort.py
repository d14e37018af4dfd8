"""How much work a test does: the suite has short forms, `make proofs` runs the long ones.

A test with the marker `proof` is in the long runs alone, as are the cases that `cases` leaves out
of the suite. They are not skipped in the suite: they are not part of it.
"""

import os
from collections.abc import Collection, Iterable
from typing import Any

import pytest

LONG = os.environ.get("SCOPEGATE_PROOFS", "") == "long"
"""Whether this run is a long one."""


def chosen(short: int, long: int) -> int:
    """How many repetitions a test makes in this run."""
    return long if LONG else short


def cases(every: Iterable[Any], in_suite: Collection[Any]) -> list[Any]:
    """Every case as a parameter of a test; those that are not `in_suite` are proofs.

    Raises `ValueError` if one of `in_suite` is no case, so that a case that was renamed is not
    lost to the suite.
    """
    found = list(every)
    if unknown := [case for case in in_suite if case not in found]:
        raise ValueError(f"not among the cases: {unknown}; the cases are {found}")
    return [
        case if case in in_suite else pytest.param(*_values(case), marks=pytest.mark.proof)
        for case in found
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
