"""The start page: a live index, and programs that work as they are pasted."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.tools import missing, node_module
from tests.served import Served, printed

PRINTED = re.compile(r"balance: 10000(\.0)? USD\s(tick: \d+(\.\d+)?\s){10}$")

pytestmark = pytest.mark.parametrize("gateway", [("--speed", "10")], indirect=True)


def program(page: Page, name: str) -> str:
    """The text of one of the programs, as its copy button takes it."""
    page.goto("/")
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel", name=name).locator("pre").inner_text()


@pytest.mark.lengthy
def test_the_python_program_runs_as_pasted(page: Page, tmp_path: Path) -> None:
    (tmp_path / "ticks.py").write_text(program(page, "Python"))
    assert PRINTED.match(printed([sys.executable, "ticks.py"], tmp_path))


@pytest.mark.lengthy
def test_the_node_program_runs_as_pasted(page: Page, tmp_path: Path) -> None:
    node = shutil.which("node") or missing("node is missing: Debian's nodejs has it")
    (tmp_path / "ticks.mjs").write_text(program(page, "Node"))
    # As after `npm install ws` in this folder.
    (tmp_path / "node_modules").symlink_to(node_module("ws").parent)
    assert PRINTED.match(printed([node, "ticks.mjs"], tmp_path))


def test_the_browser_program_runs_as_pasted(browse: Browse, page: Page, tmp_path: Path) -> None:
    (tmp_path / "ticks.html").write_text(program(page, "Browser"))
    other = browse()
    other.goto((tmp_path / "ticks.html").as_uri())
    expect(other.locator("#out")).to_have_text(PRINTED)


def test_the_index_is_live_and_the_token_is_shown(page: Page, gateway: Served) -> None:
    page.goto("/")
    quote = page.locator("#quote")
    expect(quote).to_have_text(re.compile(r"^\d+\.\d\d$"))
    first = quote.inner_text()
    expect(quote).not_to_have_text(first)  # the next tick
    expect(page.get_by_role("img", name="Volatility 100 (1s) Index")).to_be_visible()
    expect(page.get_by_text(gateway.token, exact=True)).to_be_visible()
    assert page.evaluate("document.cookie + JSON.stringify({...localStorage})") == "{}"


@pytest.mark.lengthy
def test_a_page_elsewhere_gets_no_demo_token(
    browse: Browse, gateway: Served, tmp_path: Path
) -> None:
    """Any page may connect, so what only the gateway's own may know is not told to others."""
    (tmp_path / "evil.html").write_text(
        f"""<!doctype html><pre id="told"></pre><script>
        const socket = new WebSocket("{gateway.url}?app_id=1089");
        const told = document.getElementById("told");
        socket.onopen = () => {{
          socket.send('{{"page_info":1}}');
          socket.send('{{"sign_in_demo":1}}');
          socket.send('{{"consent_request":1,"query":"app_id=1089"}}');
        }};
        socket.onmessage = ({{ data }}) => told.append(JSON.parse(data).error.code + "\\n");
        </script>"""
    )
    page = browse()
    page.goto((tmp_path / "evil.html").as_uri())
    expect(page.locator("#told")).to_have_text("PermissionDenied\n" * 3)


@pytest.mark.lengthy
def test_no_page_can_be_framed(page: Page, watch, gateway: Served, tmp_path: Path) -> None:
    (tmp_path / "frame.html").write_text(
        f'<!doctype html><iframe src="{gateway.page}oauth2/authorize?app_id=1089"></iframe>'
    )
    page.goto((tmp_path / "frame.html").as_uri())
    frame = page.frame_locator("iframe")
    expect(frame.locator("body")).not_to_contain_text("Scopegate")
    watch.take("frame|X-Frame-Options|refused|Content Security Policy|status of 400")
