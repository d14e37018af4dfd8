"""Files of own markets: other files than texts of prices are refused, and a market is read once."""

from pathlib import Path

import pytest

from scopegate.own_markets import MAX_LINE, first_moment, own_markets
from scopegate.settings import MarketFile, SettingsError, chosen

FIRST = 1_769_504_400
"""2026-01-27 09:00 UTC."""
ROWS = "epoch,quote\n" + "".join(f"{FIRST + n},{1.5 + n % 2}\n" for n in range(5))


def file(
    path: Path, content: bytes, *, name: str = "OWN_X", digits: int | None = None
) -> MarketFile:
    path.write_bytes(content)
    return MarketFile(name, path, None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "line 1: the file is empty"),
        (b"\xff\xfe\x00\x01\n", "line 1 is not UTF-8 text"),
        (ROWS.encode() + b"\xe9,1\n", "line 7 is not UTF-8 text"),
        (b"x" * (MAX_LINE + 1), f"line 1 has more than {MAX_LINE} bytes"),
        (b"\x00" * 100, "line 1: one column must be the time"),
        (b"epoch,quote\n\x00,1\n", "line 2: "),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "ticks.csv"
    with pytest.raises(SettingsError) as refused, own_markets([file(path, content)]):
        pass
    assert str(refused.value).startswith(f"market: OWN_X: {path}: {expected}")


def test_a_mark_at_the_beginning_of_the_text_is_skipped(tmp_path: Path) -> None:
    with own_markets([file(tmp_path / "a.csv", b"\xef\xbb\xbf" + ROWS.encode())]) as offered:
        assert offered.begins == FIRST


def test_a_file_is_read_again_only_if_its_content_has_changed(tmp_path: Path) -> None:
    one = file(tmp_path / "a.csv", ROWS.encode())
    with own_markets([one]) as first, own_markets([one]) as second:
        assert first.symbols[0] is second.symbols[0]
    changed = file(tmp_path / "a.csv", ROWS.replace("1.5", "1.6").encode())
    with own_markets([changed]) as third:
        assert third.symbols[0] is not first.symbols[0]
        digests = {offered.symbols[0].recording.digest for offered in (first, third)}
        assert len(digests) == 2


def test_the_market_begins_with_the_earliest_of_several_files(tmp_path: Path) -> None:
    later = ROWS.replace(str(FIRST)[:-3], str(FIRST + 1_000)[:-3])
    files = [
        file(tmp_path / "a.csv", later.encode()),
        file(tmp_path / "b.csv", ROWS.encode(), name="OWN_Y"),
    ]
    assert first_moment(files) == FIRST
    assert first_moment([]) is None
    with own_markets(files) as offered:
        orders = [symbol.display_order for symbol in offered.symbols]
    assert orders == sorted(set(orders))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OWN_X=a.csv", MarketFile("OWN_X", Path("a.csv"), None)),
        ("OWN_X=a.csv:2", MarketFile("OWN_X", Path("a.csv"), 2)),
        ("OWN_1A=/a=b/c:d.csv", MarketFile("OWN_1A", Path("/a=b/c:d.csv"), None)),
    ],
)
def test_the_setting_names_a_file_and_perhaps_decimals(text: str, expected: MarketFile) -> None:
    assert chosen(market=(text,)).market_files == [expected]


@pytest.mark.parametrize("text", ["", "OWN_X", "OWN_X=", "OWN_=a", "own_x=a", "R_100=a", "=a"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="must be NAME=FILE or NAME=FILE:DECIMALS"):
        chosen(market=(text,))
