"""The dashboard and the alerts, by Prometheus itself (Debian's package)."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import pytest
import yaml

from tests.monitoring.test_metrics import metrics
from tests.product_files import ROOT
from tests.served import PATIENCE, Served, fetch, serving

HERE = Path(__file__).parent
MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
ALERTS = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
QUERIES = [
    (panel["title"], target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
]
MAY_BE_EMPTY = {"Ended connections", "Settlements", "Refusals by a limit"}
"""Panels without a line while nothing of the kind has happened."""

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="needs Prometheus: apt-get install prometheus",
)


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *arguments], check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Prometheus, which reads the metrics of `target` twice a second; yields its address."""
    settings = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (job,) = settings["scrape_configs"]
    job["scrape_interval"] = "500ms"
    job["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    shutil.copy(MONITORING / "alerts.yml", folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def ask(address: str, query: str) -> list[dict[str, Any]]:
    try:
        status, _, body = fetch_query(address, query)
    except ConnectionError:  # it starts
        return []
    assert status in (200, 503), body
    answer = orjson.loads(body) if status == 200 else {"data": {"result": []}}
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def fetch_query(address: str, query: str) -> tuple[int, str, bytes]:
    return fetch(f"{address}/api/v1/query?query={quote(query)}")


async def used(served: Served) -> None:
    """Some of everything that the dashboard shows."""
    async with served.connected() as client:
        await client.authorize(served.token)
        await client.ask({"ticks": "R_100", "subscribe": 1})
        assert await client.refused({"mt5_login_list": 1}) == "UnrecognisedRequest"


@pytest.mark.lengthy
async def test_every_query_of_the_dashboard_finds_something(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        await used(served)
        with prometheus(tmp_path, urlsplit(served.page).netloc) as address:
            # A rate needs two readings.
            while not ask(address, "rate(scopegate_commit_seconds_count[1m])"):
                pass
            for title, query in QUERIES:
                plain = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
                found = ask(address, plain)
                assert found or title in MAY_BE_EMPTY, (title, plain)


def test_every_metric_of_the_dashboard_and_the_alerts_exists(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        known = set(metrics(served).families)
    text = " ".join([*(query for _, query in QUERIES), *(rule["expr"] for rule in ALERTS)])
    named = set(re.findall(r"\b(?:scopegate|process)_[a-z_]+", text))
    assert len(named) > 15
    plain = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
    assert plain <= known | {"process_start_time_seconds"}


@pytest.mark.lengthy
def test_the_alerts_fire_for_their_causes_alone() -> None:
    promtool("check", "rules", MONITORING / "alerts.yml")
    promtool("check", "config", MONITORING / "prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", HERE / "alerts_test.yml")
    tested = (HERE / "alerts_test.yml").read_text()
    for rule in ALERTS:
        assert tested.count(rule["alert"]) == 2, rule["alert"]


def test_the_documentation_says_what_to_do_about_each_alert() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert {rule["alert"] for rule in ALERTS} == set(re.findall(r"^\| `(\w+)` \|", text, re.M))
