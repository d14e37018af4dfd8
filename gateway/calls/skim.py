"""Find the calls and the `req_id` of a message without parsing it, for the reply that refuses it.

Only the beginning and the end are scanned, as far as they hold top-level members with scalar
values. For valid JSON that is exact: a member at the beginning follows the opening brace and other
scalar members; a member at the end is followed by scalar members and the closing brace. The part in
between is not scanned.
"""

import re

REACH = 256
"""Bytes scanned at each end."""
MEMBERS = 8
"""Members scanned at each end."""

_PLAIN = r'(?:"[^"\\]{0,100}"|-?[0-9.eE+-]{1,40}|true|false|null)'
_KEY = r'"([A-Za-z0-9_-]{1,50})"'
_FIRST = re.compile(rf"\s*\{{\s*{_KEY}\s*:\s*({_PLAIN}(?=\s*[,}}]))?", re.ASCII)
_NEXT = re.compile(rf"\s*,\s*{_KEY}\s*:\s*({_PLAIN}(?=\s*[,}}]))?", re.ASCII)
_LAST = re.compile(rf"[,{{]\s*{_KEY}\s*:\s*({_PLAIN})\s*\}}\s*\Z", re.ASCII)
_INTEGER = re.compile(r'"?(-?[0-9]{1,16})"?', re.ASCII)


def skim(text: bytes) -> dict[str, int | None]:
    """Return the keys that can be seen without parsing, in order; only `req_id` has its value."""
    found: dict[str, int | None] = {}
    head = text[:REACH].decode("ascii", "replace")
    member = _FIRST.match(head)
    while member is not None and len(found) < MEMBERS:
        _note(found, member[1], member[2])
        if member[2] is None:  # not scalar, or cut off: nothing after it is certain
            break
        member = _NEXT.match(head, member.end())
    for key, value in reversed(_members_of_end(text[-REACH:].decode("ascii", "replace"))):
        _note(found, key, value)
    return found


def _members_of_end(tail: str) -> list[tuple[str, str]]:
    """Return the scalar members at the end of a message, the last first."""
    members: list[tuple[str, str]] = []
    while len(members) < MEMBERS and (member := _LAST.search(tail)) is not None:
        members.append((member[1], member[2]))
        tail = tail[: member.start()] + "}"
    return members


def _note(found: dict[str, int | None], key: str, value: str | None) -> None:
    number = _INTEGER.fullmatch(value) if key == "req_id" and value is not None else None
    found[key] = None if number is None else int(number[1])
