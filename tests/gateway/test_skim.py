"""Finding the call and the `req_id` of a long message that is not parsed."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.gateway.calls.skim import skim

LONG = {"x": "y" * 55_000}


@pytest.mark.parametrize(
    "message",
    [
        {"ping": 1, "req_id": 5, "passthrough": LONG},
        {"ping": 1, "passthrough": LONG, "req_id": 5},
        {"passthrough": LONG, "ping": "1", "subscribe": 1, "req_id": "5"},
        {"req_id": 5, "ping": 1, "passthrough": {"a": [1] * 20_000}},
    ],
)
def test_calls_and_req_id_are_found_at_both_ends(message: dict[str, Any]) -> None:
    for text in (orjson.dumps(message), orjson.dumps(message, option=orjson.OPT_INDENT_2)):
        found = skim(text)
        assert found["req_id"] == 5
        assert "ping" in found


@pytest.mark.parametrize(
    "text",
    [
        orjson.dumps({"passthrough": {**LONG, "req_id": 5}}),
        orjson.dumps({"passthrough": {"req_id": 5, **LONG}}),
        orjson.dumps({"passthrough": LONG, "note": '","req_id":5'}),
        orjson.dumps([LONG, {"req_id": 5}]),
        orjson.dumps({"passthrough": [LONG, {"req_id": 5}]}),
        b'{"' * 20_000,
        b"",
    ],
)
def test_nested_members_are_not_taken_for_those_of_the_message(text: bytes) -> None:
    assert skim(text).get("req_id") is None


_KEYS = st.sampled_from(["req_id", "ping", "a", "passthrough", "x y", 'q"', "\u00fc"])
_VALUES = st.recursive(
    st.one_of(
        st.integers(-(10**15), 10**15),
        st.text('{}[]",: \\req_id5', max_size=30),
        st.sampled_from(["y" * 300, ',"req_id":5}', True, None, 1.5]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_what_is_found_is_true_of_any_message(message: dict[str, Any]) -> None:
    found = skim(orjson.dumps(message))
    assert found.keys() <= message.keys()
    if found.get("req_id") is not None:
        assert found["req_id"] == int(message["req_id"])
