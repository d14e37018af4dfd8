"""What `scopegate doctor` finds: each finding for its cause and for nothing else."""

import re
import shlex
from dataclasses import replace
from typing import Any

import pytest

from scopegate.commands.serve import serve
from scopegate.doctor import CertificateFacts, Facts, FileFacts, ServerFacts, findings
from scopegate.settings import chosen
from tests.product_files import ROOT

SAFE: dict[str, Any] = {
    "host": "203.0.113.5",
    "tls_cert": "cert.pem",
    "tls_key": "key.pem",
    "allowed_host": "trade.example.com",
    "smtp_host": "mail.example.com",
    "smtp_from": "a@example.com",
    "metrics_token": "of-16-characters",
}
"""Settings of a gateway that others reach, and that has nothing unsafe."""
ON_SERVER = {"store": "postgresql://db.example.com/scopegate"}

DB, KEY = FileFacts("scopegate.db", 0o600, True), FileFacts("key.pem", 0o600, True)
HEALTHY = Facts(
    folder=FileFacts("data", 0o755, True),
    files=[DB],
    keys=[KEY],
    file_system="ext4",
    has_attributes=True,
    free_bytes=1 << 40,
    certificate=CertificateFacts(60, ["*.example.com"]),
    server=ServerFacts("db.example.com", True),
    open_files=65_536,
    processors=4,
    clock_is_synchronised=True,
)


def found(settings: dict[str, Any], facts: Facts = HEALTHY) -> list[tuple[str, str]]:
    return [(finding.level, finding.about) for finding in findings(chosen(**settings), facts)]


BY_SETTINGS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"tls_cert": None, "tls_key": None}, ("danger", "host")),
    ({"tls_cert": None, "tls_key": None, "trusted_proxy": "10.0.0.0/8"}, ("hint", "host")),
    ({"tls_cert": None, "tls_key": None, "tls_self_signed": True}, ("hint", "tls_self_signed")),
    ({"host": "127.0.0.1", "limits": "deriv"}, ("hint", "trusted_proxy")),
    ({"allowed_host": ()}, ("hint", "allowed_host")),
    ({"trusted_proxy": "0.0.0.0/0"}, ("danger", "trusted_proxy")),
    ({"trusted_proxy": "10.0.0.1/32,::/0"}, ("danger", "trusted_proxy")),
    ({"limits": "open"}, ("danger", "limits")),
    ({"host": "127.0.0.1", "trusted_proxy": "127.0.0.1/32"}, ("danger", "limits")),
    ({"demo": True}, ("danger", "demo")),
    ({"any_app_id": True}, ("hint", "any_app_id")),
    ({"metrics_token": None}, ("hint", "metrics_token")),
    ({"seed": "known"}, ("hint", "seed")),
    ({"smtp_host": None, "smtp_from": None}, ("hint", "smtp_host")),
    ({"smtp_host": None, "smtp_from": None, "log_letters": True}, ("danger", "log_letters")),
    ({"smtp_security": "none"}, ("danger", "smtp_security")),
    ({"allowed_host": "trade.example.com,other.org"}, ("danger", "tls_cert")),
    ({"workers": 5}, ("hint", "workers")),
    ({**ON_SERVER, "store_unsafe": True}, ("danger", "store_unsafe")),
]

FINE: list[Any] = [
    {},
    {"trusted_proxy": "10.0.0.0/8,fc00::/7"},
    {"limits": "deriv", "messages_per_minute": 10_000},
    {"log_letters": True},
    {"smtp_host": "127.0.0.1", "smtp_security": "none"},
    {"smtp_security": "tls"},
    {"workers": 4},
    ON_SERVER,
    pytest.param({"store_unsafe": True}, marks=pytest.mark.sqlite),  # of a file it means nothing
]


@pytest.mark.parametrize(("changes", "finding"), BY_SETTINGS)
def test_each_unsafe_setting_is_found_alone(
    changes: dict[str, Any], finding: tuple[str, str]
) -> None:
    assert found(SAFE | changes) == [finding]


@pytest.mark.parametrize("changes", FINE)
def test_safe_settings_have_no_finding(changes: dict[str, Any]) -> None:
    assert found(SAFE | changes) == []


def test_a_gateway_for_this_machine_alone_has_no_finding() -> None:
    assert found({}) == []
    assert found({"limits": "open", "demo": True, "any_app_id": True, "seed": "x"}) == []


def test_a_demo_user_without_a_password_behind_a_proxy_is_a_danger() -> None:
    settings = chosen(host="127.0.0.1", allowed_host="a.example.com", limits="deriv", demo=True)
    [danger, *_] = findings(settings, HEALTHY)
    assert (danger.about, danger.why) == (
        "demo",
        "anyone who opens a page is the demo user, without a password",
    )


BY_FACTS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"files": [replace(DB, mode=0o604)]}, ("danger", "db")),
    ({"files": [replace(DB, mode=0o640)]}, ("hint", "db")),
    ({"files": [replace(DB, is_own=False)]}, ("hint", "db")),
    ({"folder": FileFacts("data", 0o777, True)}, ("danger", "db")),
    ({"folder": FileFacts("data", 0o775, True)}, ("hint", "db")),
    ({"folder": FileFacts("shared", 0o1777, False)}, ("hint", "db")),
    ({"file_system": "tmpfs"}, ("danger", "db")),
    ({"file_system": "nfs4"}, ("danger", "db")),
    ({"file_system": "overlay"}, ("hint", "db")),
    ({"has_attributes": False}, ("hint", "db")),
    ({"free_bytes": (1 << 30) - 1}, ("hint", "db")),
    ({"keys": [replace(KEY, mode=0o644)]}, ("danger", "tls_key")),
    ({"keys": [replace(KEY, mode=0o640)]}, ("hint", "tls_key")),
    ({"certificate": CertificateFacts(29, ["trade.example.com"])}, ("hint", "tls_cert")),
    ({"certificate": CertificateFacts(-1, ["trade.example.com"])}, ("danger", "tls_cert")),
    ({"certificate": CertificateFacts(60, ["*.com", "example.com"])}, ("danger", "tls_cert")),
    ({"unusable": [("tls_cert, tls_key", "no match")]}, ("danger", "tls_cert, tls_key")),
    ({"server": ServerFacts("db.example.com", False)}, ("danger", "store")),
    ({"server": ServerFacts("/run/pg", False, ["fsync"])}, ("danger", "store")),
    ({"open_files": 4_095}, ("hint", "open files")),
    ({"clock_is_synchronised": False}, ("hint", "clock")),
    ({"outdated": ["h11 0.14.0 instead of 0.16.0 or newer"]}, ("hint", "packages")),
    ({"missing": ["uvloop"]}, ("hint", "packages")),
]


@pytest.mark.parametrize(("changes", "finding"), BY_FACTS)
def test_each_unsafe_fact_is_found_alone(changes: dict[str, Any], finding: tuple[str, str]) -> None:
    assert found(SAFE, replace(HEALTHY, **changes)) == [finding]


def test_safe_facts_have_no_finding() -> None:
    assert found(SAFE, Facts()) == []  # nothing is concluded from what is not known
    for changes in (
        {"certificate": CertificateFacts(30, ["TRADE.example.com"])},
        {"server": ServerFacts("/run/postgresql", False)},
        {"server": ServerFacts("127.0.0.1", False)},
        {"free_bytes": 1 << 30, "open_files": 4_096},
    ):
        assert found(SAFE, replace(HEALTHY, **changes)) == []


def test_dangers_come_first_and_every_finding_says_what_to_do() -> None:
    settings = chosen(host="0.0.0.0", any_app_id=True, limits="open")  # noqa: S104
    all_found = findings(settings, replace(HEALTHY, open_files=1_024))
    levels = [finding.level for finding in all_found]
    assert levels == sorted(levels)
    assert {"danger", "hint"} == set(levels)
    assert all(all(finding) for finding in all_found)


RECOMMENDED = [
    (page, command)
    for page in ("operating.md", "proxies.md", "scaling.md")
    for command in re.findall(
        r"^scopegate (?:serve|doctor) .+$", (ROOT / "docs" / page).read_text(), re.MULTILINE
    )
]


@pytest.mark.parametrize(("page", "command"), RECOMMENDED)
def test_the_settings_that_the_documentation_recommends_are_no_danger(
    page: str, command: str
) -> None:
    arguments = shlex.split(command, comments=True)[2:]
    options = serve.make_context("serve", arguments).params
    given = {name: value for name, value in options.items() if value not in (None, ())}
    assert [each for each in found(given) if each[0] == "danger"] == [], page


def test_recommendations_are_looked_at() -> None:
    assert {page for page, _ in RECOMMENDED} == {"operating.md", "proxies.md", "scaling.md"}
