"""The licences of what a gateway needs are allowed ones, and lock files pin what they name."""

import json
import re
from email.message import Message
from pathlib import Path

import pytest

from docs import licences
from tests.product_files import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
BILL = ROOT / "sbom.cdx.json"


def test_everything_that_is_needed_has_an_allowed_licence() -> None:
    found = list(licences.licences())
    assert {each.name for each in found} > licences.locked("run.txt") | {"psycopg", "uplot"}
    assert all(each.licence for each in found)


@pytest.mark.parametrize(
    "licence", ["", "GPL-3.0-only", "MIT AND AGPL-3.0-or-later", "LGPL-3.0-only", "see the file"]
)
def test_another_licence_is_refused(licence: str) -> None:
    with pytest.raises(
        licences.LicenceError, match=re.escape(f"some-package: the licence {licence!r}")
    ):
        licences.allow("some-package", licence)


def test_a_licence_is_read_where_a_package_states_it() -> None:
    package = Message()
    assert licences.stated(package) == ""
    package["Classifier"] = "License :: OSI Approved :: MIT License"
    package["License"] = "MIT License"  # no identifier
    assert licences.stated(package) == "MIT"
    package["License-Expression"] = "MPL-2.0 AND (Apache-2.0 OR MIT)"
    assert licences.stated(package) == "MPL-2.0 AND (Apache-2.0 OR MIT)"
    licences.allow("some-package", licences.stated(package))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_is_pinned_with_hashes(lock: Path) -> None:
    # pip takes nothing else then: neither another version nor another file.
    packages = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", lock.read_text()).strip())
    assert packages
    for package in packages:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", package), package
        assert "--hash=sha256:" in package, package


def test_only_packages_of_locks_are_installed() -> None:
    makefile = (ROOT / "Makefile").read_text()
    installations = re.findall(r"^.*-m pip .*install .*$", makefile, re.MULTILINE)
    assert installations
    for line in installations:
        assert "--require-hashes" in line or "--no-index" in line, line
    assert "npm ci --loglevel=error --ignore-scripts" in makefile


def test_the_bill_of_materials_has_all_that_is_needed() -> None:
    if not BILL.exists():
        pytest.skip("`make sbom` writes it, and `make check` calls that")
    bill = json.loads(BILL.read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "scopegate")
    assert {each["name"] for each in bill["components"]} == licences.locked("run.txt")
    assert all(each["purl"].endswith(f"@{each['version']}") for each in bill["components"])
