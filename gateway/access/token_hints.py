"""Hints about tokens: what their owner may want to change.

Rules:
- A use of a token counts for its parents too: a token needs the scopes of those created with it.
- Any use shows that a scope is needed, also one that was answered with an error.
- A scope that changes nothing is never called unneeded.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DAY: Final = 86_400
UNUSED_DAYS: Final = 90
"""Days without use after which a token is called unused. Uses are kept for as long."""
EXPIRES_DAYS: Final = 7
"""Days before its end in which a token is said to expire soon."""
YOUNG_DAYS: Final = 7
"""Days in which nothing is concluded from the scopes that a token has not used."""


class HintKind(StrEnum):
    """What a hint is about."""

    UNUSED = "unused"
    EXPIRES_SOON = "expires_soon"
    UNNEEDED_SCOPES = "unneeded_scopes"


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint."""

    kind: HintKind
    words: str
    """The hint in a sentence or two."""
    scopes: tuple[str, ...] = ()
    """The scopes that it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What hints about a token depend on. Times are in epoch seconds of real time."""

    scopes: Collection[str]
    created_at: float
    last_used_at: float | None
    expires_at: float | None
    calls: Collection[str]
    """The calls that were made with it, and with those created with it, in the last
    `UNUSED_DAYS`."""
    all_calls_known: bool
    """Whether `calls` are all of them: of tokens with very many uses, only the latest are kept."""


def hints(
    token: TokenFacts,
    now: float,
    needed: Mapping[str, Collection[str]],
    risky: Collection[str],
) -> list[Hint]:
    """Return the hints about a token at this time, the most urgent first.

    `needed` has the scopes of each call, any one of which is enough for it. `risky` are the scopes
    that change something, in the order in which sentences name them.
    """
    found = []
    if token.expires_at is not None and token.expires_at - now <= EXPIRES_DAYS * DAY:
        found.append(Hint(HintKind.EXPIRES_SOON, f"Expires within {EXPIRES_DAYS} days."))
    if now - max(token.created_at, token.last_used_at or 0) >= UNUSED_DAYS * DAY:
        found.append(Hint(HintKind.UNUSED, f"Not used for {UNUSED_DAYS} days: delete it?"))
    elif token.calls and token.all_calls_known and now - token.created_at >= YOUNG_DAYS * DAY:
        unneeded = _unneeded(token, needed, risky)
        if unneeded:
            found.append(_unneeded_hint(token, now, unneeded, risky))
    return found


def _unneeded(
    token: TokenFacts, needed: Mapping[str, Collection[str]], risky: Iterable[str]
) -> tuple[str, ...]:
    used = {scope for name in token.calls for scope in needed.get(name, ())}
    return tuple(scope for scope in risky if scope in token.scopes and scope not in used)


def _unneeded_hint(
    token: TokenFacts, now: float, unneeded: tuple[str, ...], risky: Collection[str]
) -> Hint:
    is_older = now - token.created_at >= UNUSED_DAYS * DAY
    names = " or ".join(unneeded)
    plural = "permissions" if len(unneeded) > 1 else "permission"
    what = (
        f"Has not used the {plural} {names} for {UNUSED_DAYS} days"
        if is_older
        else f"Has never used the {plural} {names}"
    )
    changes_nothing = not set(token.scopes) & set(risky) - set(unneeded)
    has_more = bool(set(token.scopes) - set(unneeded))
    if changes_nothing and has_more:
        advice = "use a read-only token instead?"
    else:
        advice = f"use a token without {'them' if len(unneeded) > 1 else 'it'} instead?"
    return Hint(HintKind.UNNEEDED_SCOPES, f"{what}: {advice}", unneeded)


def calls_with_children(
    calls: Mapping[int, Collection[str]], parents: Mapping[int, int | None]
) -> dict[int, frozenset[str]]:
    """Return the calls of each token and of all tokens created with it, by the token's id.

    `calls` are those that each token has made itself, `parents` the parent of each token.
    """
    found: dict[int, set[str]] = {}
    for token_id, names in calls.items():
        above: int | None = token_id
        while above is not None:
            found.setdefault(above, set()).update(names)
            above = parents.get(above)
    return {token_id: frozenset(names) for token_id, names in found.items()}
