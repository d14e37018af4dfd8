"""Checks of a page as it stands in the browser, whatever it shows."""

from pathlib import Path

from playwright.sync_api import Page

from tests.browser.tools import node_module

_TIDY = (Path(__file__).parent / "tidy.js").read_text()
_SERIOUS = ("serious", "critical")


def assert_tidy(page: Page) -> None:
    """Nothing scrolls or sticks out sideways, no text is cut off, no two controls overlap."""
    found = page.evaluate(_TIDY)
    assert found == [], "\n".join([page.url, *found])


def assert_accessible(page: Page) -> None:
    """axe finds nothing that it calls serious or critical."""
    # Evaluated through the debugger, so that the page's content security policy stays in force.
    page.evaluate((node_module("axe-core") / "axe.min.js").read_text() + "; 0")
    violations = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((results) => results.violations)"
    )
    found = [
        f"{violation['id']} ({violation['impact']}): {violation['help']}\n"
        f"  at {node['target']}: {node['failureSummary']}"
        for violation in violations
        if violation["impact"] in _SERIOUS
        for node in violation["nodes"]
    ]
    assert found == [], "\n".join([page.url, *found])
