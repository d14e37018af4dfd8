"""What the suite leaves out is a proof, and `make proofs` has it."""

import pytest

from tests.effort import LONG, cases


@pytest.mark.proof
def test_a_proof_is_in_long_runs_alone() -> None:
    assert LONG


@pytest.mark.parametrize("number", cases([1, 2, 3], [2]))
def test_the_suite_has_the_cases_that_are_named(number: int) -> None:
    assert LONG or number == 2


@pytest.mark.parametrize(("number", "text"), cases([(1, "a"), (2, "b")], [(1, "a")]))
def test_a_case_may_have_several_values(number: int, text: str) -> None:
    assert (number, text) == (1, "a") or (LONG and (number, text) == (2, "b"))


def test_a_case_that_was_renamed_is_not_lost_to_the_suite() -> None:
    with pytest.raises(ValueError, match=r"not among the cases: \['old'\]"):
        cases(["new"], ["old"])
