"""Each check finds what it is for, and leaves alone what only looks like it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.checks import assert_accessible, assert_tidy

pytestmark = pytest.mark.lengthy

LONG = "Tokens that no application should ever be able to read back once they have been shown"


@pytest.fixture(scope="module")
def blank(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 360, "height": 640})
    yield page
    page.close()


def show(page: Page, body: str) -> None:
    page.set_content(
        "<!doctype html><html lang=en><title>Shown</title><style>body { margin: 8px }</style>"
        f"<main><h1>Shown</h1>{body}</main>"
    )


UNTIDY = {
    "wide": ("<p style='width: 500px'>wide</p>", "<html> scrolls sideways"),
    "wide, scrolling hidden": (
        "<style>body { overflow-x: hidden }</style><p style='width: 500px'>wide</p>",
        "sticks out sideways: <p> .wide",
    ),
    "out at the right": (
        "<p style='position: fixed; left: 300px; width: 100px'>fixed</p>",
        "sticks out sideways: <p> .fixed",
    ),
    "out at the left": (
        "<p id=left style='margin-left: -40px'>shifted</p>",
        "sticks out sideways: <p#left> .shifted",
    ),
    "out when focused, too": (
        "<a href=#a style='position: absolute; left: -400px'>lost</a>",
        "sticks out sideways: <a> .lost",
    ),
    "one word": (f"<p>{LONG.replace(' ', '_')}</p>", "<html> scrolls sideways"),
    "cut off at the side": (
        f"<p style='width: 80px; overflow: hidden; white-space: nowrap'>{LONG}</p>",
        "text is cut off: <p>",
    ),
    "cut off with an ellipsis": (
        "<p style='width: 80px; overflow: clip; white-space: nowrap; text-overflow: ellipsis'>"
        f"{LONG}</p>",
        "text is cut off: <p>",
    ),
    "cut off below": (
        f"<div class=low style='height: 20px; overflow: hidden'><p>{LONG}</p></div>",
        "text is cut off: <div.low>",
    ),
    "wider than its box": (
        "<div style='width: 60px'>unmistakeable</div>",
        "text is wider than its box: <div>",
    ),
    "wider than its box, in a table": (
        "<table style='table-layout: fixed; width: 100px'>"
        "<tr><td>unmistakeable</td><td>b</td></tr></table>",
        "text is wider than its box: <td>",
    ),
    "buttons": (
        "<button>one</button><button style='margin-left: -20px'>two</button>",
        'controls overlap: <button> "one" and <button> "two"',
    ),
    "link and field": (
        "<a href=/here>here</a><input aria-label=a style='position: relative; left: -30px'>",
        'controls overlap: <a> "here" and <input>',
    ),
    "both pinned": (
        "<div style='position: fixed; top: 0'><button>one</button></div>"
        "<div style='position: fixed; top: 5px'><button>two</button></div>",
        "controls overlap",
    ),
    "wide, in a dialog": (
        "<dialog><p style='width: 500px'>wide</p></dialog>"
        "<script>document.querySelector('dialog').showModal()</script>",
        "<dialog> scrolls sideways",
    ),
    "buttons in a dialog": (
        "<dialog><button>one</button><button style='margin-left: -20px'>two</button></dialog>"
        "<script>document.querySelector('dialog').showModal()</script>",
        "controls overlap",
    ),
}

TIDY = {
    "the beginning of what can be opened": (
        "<details><summary><code style='display: block; width: 80px; overflow: hidden;"
        f" white-space: nowrap; text-overflow: ellipsis'>{LONG}</code></summary>{LONG}</details>"
    ),
    "words": f"<p>{LONG}</p><button>one</button> <button>two</button>",
    "wide, in a scroller": (
        "<div style='overflow-x: auto'><pre style='width: 900px'>wide</pre></div>"
        "<div style='overflow-x: auto; height: 60px'><a href=/a style='position: relative;"
        " top: 70px'>out of sight</a></div><button>one</button>"
    ),
    "wider than the body, not than the window": "<p style='margin-right: -8px'>to the edge</p>",
    "for screen readers": (
        "<h2 style='position: absolute; width: 1px; height: 1px; overflow: hidden;"
        f" white-space: nowrap'>{LONG}</h2>"
    ),
    "in when focused": (
        "<style>[href='#a'] { position: absolute; left: -400px; transition: left 50ms }"
        " [href='#a']:focus { left: 0 }</style>"
        "<a href=#a>skip</a><a href=/>home</a>"
    ),
    "hidden": (
        "<div hidden style='width: 900px'>wide</div>"
        "<details><summary>more</summary><button style='width: 900px'>wide</button></details>"
        "<div style='height: 0; overflow: hidden'><button>shut</button></div><button>one</button>"
    ),
    "nested": "<label>name <input></label><summary><a href=/a>inner</a></summary>",
    "links that wrap": (
        "<p style='line-height: 1.5'>Read <a href=/a>the description of the call first</a>,"
        " <a href=/b>then the description of what it answers</a>.</p>"
    ),
    "a long value": f"<input aria-label=a style='width: 80px' value='{LONG}'>",
    "beneath a bar": (
        "<div style='position: fixed; top: 0; left: 0'><button>bar</button></div>"
        "<button style='position: absolute; top: 0; left: 0'>beneath</button>"
    ),
    "beneath a dialog": (
        "<dialog style='top: 0; left: 0; margin: 0'><button>in the dialog</button></dialog>"
        "<button style='position: absolute; top: 20px; left: 20px'>beneath</button>"
        "<p style='position: fixed; left: -40px'>beneath</p>"
        "<script>document.querySelector('dialog').showModal()</script>"
    ),
}


@pytest.mark.parametrize(("body", "words"), UNTIDY.values(), ids=UNTIDY)
def test_what_is_untidy_is_found(blank: Page, body: str, words: str) -> None:
    show(blank, body)
    with pytest.raises(AssertionError, match=words):
        assert_tidy(blank)


@pytest.mark.parametrize("body", TIDY.values(), ids=TIDY)
def test_what_is_tidy_passes(blank: Page, body: str) -> None:
    show(blank, body)
    assert_tidy(blank)


INACCESSIBLE = {
    "image-alt": "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>",
    "label": "<input>",
    "button-name": "<button></button>",
    "color-contrast": "<p style='color: #999; background: #fff'>pale</p>",
    "nested-interactive": "<div role=button tabindex=0><a href=/a>inner</a></div>",
}


@pytest.mark.parametrize(("rule", "body"), INACCESSIBLE.items(), ids=INACCESSIBLE)
def test_what_is_inaccessible_is_found(blank: Page, rule: str, body: str) -> None:
    show(blank, body)
    with pytest.raises(AssertionError, match=rf"{rule} \((serious|critical)\)"):
        assert_accessible(blank)


def test_what_is_accessible_passes(blank: Page) -> None:
    show(blank, "<label>name <input></label><button>one</button><img alt=dot src='data:,'>")
    assert_accessible(blank)
