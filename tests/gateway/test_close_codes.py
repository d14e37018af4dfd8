"""docs/wire.md lists exactly the codes with which the gateway closes a WebSocket.

They are read from the code: the constants `*_CLOSE`, and the first argument of `Disconnect`,
`close` and `fail`. A few come from the library `websockets` instead, which the gateway lets close
connections that violate the protocol: `LIBRARY_CODES`. It also has 1011 for a bug in its own
parser, which a client need not expect. Plugins may use further codes, which the page says.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pytest
from websockets.frames import Close
from websockets.protocol import SERVER, Protocol

from tests.product_files import ROOT, python_files

PAGE = (ROOT / "docs" / "wire.md").read_text()

FOLDERS = ("gateway", "handlers")
"""Where connections are closed. In the exchange and the store, `close` closes other things."""

LIBRARY_CODES = {
    1002: b"\x81\x00",  # a frame without a mask
    1007: b"\x88\x83\0\0\0\0\x03\xe8\xff",  # a close frame whose reason is not UTF-8
    1009: b"\x81\xfe\xff\xff\0\0\0\0",  # a message that is too long
}
"""The close codes of the library `websockets`, each with bytes to which it is the answer."""

CLOSING = ("close", "fail")
PASSED_ON = ("code", "end.code")
"""Arguments that hold a code which is found elsewhere."""


class UnreadableError(Exception):
    """A code cannot be read from the code."""


def constants(source: str) -> Iterator[tuple[str, int]]:
    """The integers to which a module gives names at its top level."""
    for node in ast.parse(source).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(number)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=int(number)))
            ):
                yield name, number


def codes_in(source: str, named: Mapping[str, int]) -> Iterator[int]:
    """The codes with which a module closes; `named` are the constants that it may use."""
    yield from (number for name, number in constants(source) if name.endswith("_CLOSE"))
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.Call(func=ast.Name(id="Disconnect"), args=[first, *_])
                | ast.Call(func=ast.Attribute(attr="Disconnect"), args=[first, *_])
            ):
                pass
            case ast.Call(func=ast.Attribute(attr=method), args=[first, *_]) if method in CLOSING:
                pass
            case _:
                continue
        match first:
            case ast.Constant(value=int(number)):
                yield number
            case ast.Name(id=name) if name in named:
                yield named[name]
            case _ if ast.unparse(first) in PASSED_ON:
                pass
            case _:
                raise UnreadableError(ast.unparse(node))


def codes() -> frozenset[int]:
    """All codes with which the gateway closes."""
    sources = [file.read_text() for folder in FOLDERS for file in python_files(folder)]
    values: defaultdict[str, set[int]] = defaultdict(set)
    for source in sources:
        for name, number in constants(source):
            values[name].add(number)
    # A name with several values would need to be followed to its module.
    named = {name: number for name, (number, *others) in values.items() if not others}
    return frozenset(LIBRARY_CODES).union(*(codes_in(source, named) for source in sources))


def listed(page: str) -> list[int]:
    """The codes in the table of the page."""
    section = page.partition("\n## Close codes\n")[2].partition("\n## ")[0]
    return [int(code) for code in re.findall(r"^\| (\d+) \| .+ \|$", section, re.MULTILINE)]


def wrong(page: str, used: Iterable[int]) -> list[str]:
    """What the table lacks, and what it has that is not used, is there twice or out of order."""
    found = listed(page)
    return (
        [f"missing: {code}" for code in sorted(set(used) - set(found))]
        + [f"not used: {code}" for code in sorted(set(found) - set(used))]
        + ([] if found == sorted(set(found)) else ["twice, or out of order"])
    )


def test_the_table_has_every_close_code_and_no_other() -> None:
    assert wrong(PAGE, codes()) == []


@pytest.mark.parametrize("code", LIBRARY_CODES)
def test_the_library_closes_with_its_codes(code: int) -> None:
    core = Protocol(SERVER, max_size=1024)
    core.receive_data(LIBRARY_CODES[code])
    assert isinstance(core.close_sent, Close)
    assert core.close_sent.code == code


def test_what_is_wrong_with_a_table_is_found() -> None:
    page = (
        "\n## Close codes\n\n| close code | why |\n|---|---|\n| 1009 | a |\n| 1002 | b |\n\n## C\n"
    )
    page += "| 4000 | another table |\n"
    assert listed(page) == [1009, 1002]
    assert wrong(page, [1002, 4403]) == [
        "missing: 4403",
        "not used: 1009",
        "twice, or out of order",
    ]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("IDLE_CLOSE = 4408", 4408),
        ("IDLE_CLOSE: Final = 4408", 4408),
        ("raise Disconnect(1003, 'text')", 1003),
        ("raise errors.Disconnect(1003, 'text')", 1003),
        ("session.end(Disconnect(ENDED, 'text'))", 4403),
        ("self.close(1009, 'text')", 1009),
        ("core.fail(1009)", 1009),
    ],
)
def test_a_code_is_found(source: str, code: int) -> None:
    assert list(codes_in(source, {"ENDED": 4403})) == [code]


@pytest.mark.parametrize("source", ["self.close()", "core.fail(code, why)", "MAX_SIZE = 1009"])
def test_what_has_no_code_of_its_own_is_left_out(source: str) -> None:
    assert list(codes_in(source, {})) == []


@pytest.mark.parametrize("source", ["Disconnect(4000 + n, 'text')", "peer.close(UNKNOWN, 'text')"])
def test_a_code_that_cannot_be_read_is_refused(source: str) -> None:
    with pytest.raises(UnreadableError):
        list(codes_in(source, {}))
