"""The form of tokens: what fits the published patterns, what a typo gives away."""

import re

from hypothesis import given
from hypothesis import strategies as st

from scopegate.gateway.calls.token_form import (
    ALPHABET,
    digest,
    holds_token,
    masked,
    new_app_token,
    new_owner_token,
    well_formed,
    without_tokens,
)

PUBLISHED_PATTERNS = [
    r"^[\w\-]{1,128}$",  # authorize
    r"^[A-Za-z0-9\s_*]+$",  # delete_token
    r"^[\w\s-]{15,32}$",  # copy_start, copy_stop
    r"^([a-zA-Z0-9-]+)$",  # sell_contract_for_multiple_accounts
]


def test_tokens_fit_every_published_pattern() -> None:
    owner, app = new_owner_token(), new_app_token()
    assert re.fullmatch(r"[A-Za-z0-9]{28}", owner)
    assert re.fullmatch(r"a1-[A-Za-z0-9]{29}", app)
    for pattern in PUBLISHED_PATTERNS:
        assert re.fullmatch(pattern, owner)
    assert re.fullmatch(PUBLISHED_PATTERNS[0], app)
    assert re.fullmatch(PUBLISHED_PATTERNS[1], masked(owner))
    assert len({new_owner_token() for _ in range(1000)}) == 1000


def test_an_owner_tokens_random_part_has_128_bits() -> None:
    assert len(ALPHABET) ** 22 > 2**128


@given(st.data())
def test_every_single_typo_is_noticed(data: st.DataObject) -> None:
    token = data.draw(st.sampled_from([new_owner_token(), new_app_token()]))
    assert well_formed(token)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET + "-_é"))
    typo = token[:place] + other + token[place + 1 :]
    assert well_formed(typo) == (typo == token)
    assert not well_formed(token[:-1])
    assert not well_formed(token + "x")
    if place and token[place - 1] != token[place]:
        swapped = token[: place - 1] + token[place] + token[place - 1] + token[place + 1 :]
        assert not well_formed(swapped)


def test_tokens_are_found_wherever_they_stand() -> None:
    token = new_owner_token()
    texts = [token, f" {token} ", f"is-{token}!", f"{new_app_token()},{token}", f"x%3D{token}%26"]
    app = new_app_token()
    assert without_tokens(f"x%3Ftoken1%3D{app}%26token1={app}") == (
        "x%3Ftoken1%3D<not shown>%26token1=<not shown>"
    )
    for text in texts:
        assert holds_token(text)
        assert token not in without_tokens(text)
    assert without_tokens(f"<{token}>") == "<<not shown>>"
    # What only looks like one is left as it is, so that echoes are what was sent.
    for text in ("x" * 28, token[:-1] + ("a" if token[-1] != "a" else "b"), token + "9"):
        assert without_tokens(text) == text


REFERENCE = re.compile(
    r"(?:a1-[A-Za-z0-9]{29}|(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))[A-Za-z0-9]{28})"
    r"(?![A-Za-z0-9])",
    re.ASCII,
)
"""A plain statement of where a token can be in a text."""

OWNERS, APPS = new_owner_token(), new_app_token()
PIECES = st.sampled_from(
    [OWNERS, APPS, OWNERS[:-1], APPS[3:], "a1-", "a1", "-", "%", "%3D", "%3", "x", "3D", " ", "é"]
)


@given(st.lists(PIECES, max_size=8))
def test_a_text_holds_the_tokens_that_the_pattern_finds(pieces: list[str]) -> None:
    """And those that it misses because the end of one text looks like the begin of another."""
    text = "".join(pieces)
    found = [each.group() for each in REFERENCE.finditer(text) if well_formed(each.group())]
    assert holds_token(text) or not found
    assert without_tokens(text).count("<not shown>") >= len(found)
    assert not holds_token(without_tokens(text))


def test_a_long_chain_of_tokens_is_masked_in_one_pass() -> None:
    app, owner = new_app_token(), new_owner_token()
    assert without_tokens(app * 2_000) == "<not shown>" * 2_000
    assert without_tokens(f"{owner}{app}") == "<not shown><not shown>"
    assert without_tokens(f"x{owner}{app}") == f"x{owner}<not shown>"
    assert not holds_token(without_tokens(f"{owner}-" * 2_000))
    assert without_tokens("a1-" * 20_000) == "a1-" * 20_000


def test_what_is_kept_and_shown_gives_nothing_away() -> None:
    token = new_owner_token()
    assert masked(token) == "*" * 24 + token[-4:]
    assert len(digest(token)) == 32
    assert digest(token) != digest(new_owner_token())
