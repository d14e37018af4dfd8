"""What an operator reads of a running gateway: `/metrics`, `/healthz` and `/readyz`."""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.process.test_workers import Workers, replaced, workers
from tests.served import Served, fetch, serving

TOKEN = "a-token-for-the-metrics"


class Metrics:
    """The samples of one answer, by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {each.name: each for each in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples[f"scopegate_{name}", frozenset(labels.items())]

    def summed(self, name: str, **labels: str) -> float:
        """The sum over all samples that have these labels, and others."""
        return sum(
            value
            for (found, of), value in self.samples.items()
            if found == f"scopegate_{name}" and labels.items() <= dict(of).items()
        )


def get(served: Served, path: str, **headers: str) -> tuple[int, str]:
    parts = urlsplit(served.page)
    assert parts.hostname is not None
    with contextlib.closing(http.client.HTTPConnection(parts.hostname, parts.port)) as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()


def metrics(served: Served) -> Metrics:
    status, text = get(served, "/metrics")
    assert status == 200, text
    return Metrics(text)


def becomes(served: Served, status: int) -> str:
    """The text of `/readyz` once it has this status."""
    while (answer := get(served, "/readyz"))[0] != status:
        pass
    return answer[1]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--messages-per-minute", "20") as one:
        yield one


async def test_metrics_count_what_clients_do(served: Served) -> None:
    async with served.connected() as client:
        await client.ask({"authorize": served.token})
        await client.ask({"balance": 1, "subscribe": 1})
        assert await client.refused({"nonsense": 1}) == "UnrecognisedRequest"
        await client.ask({"logout": 1})
        assert await client.refused({"balance": 1}) == "AuthorizationRequired"
        bought = metrics(served)
        assert bought("calls_total", call="balance", outcome="ok") == 1
        assert bought("calls_total", call="balance", outcome="AuthorizationRequired") == 1
        assert bought("calls_total", call="unknown", outcome="UnrecognisedRequest") == 1
        assert bought("call_seconds_count", call="balance") == 2
        assert bought("connections") == bought("connections_opened_total") == 1
        assert bought("connections_signed_in") == 0
        assert bought("streams", kind="balance") == 0
        assert bought("commit_writes_count") > 0
        for _ in range(20):
            client.send_text(b'{"ping": 1}')
        answers = [await client.next() for _ in range(20)]
        assert answers[-1]["error"]["code"] == "RateLimit"
    after = metrics(served)
    assert after("connections_closed_total", code="client") == 1
    assert after("connections") == 0
    refused = sum("error" in answer for answer in answers)
    assert after("calls_total", call="ping", outcome="RateLimit") == refused
    assert after.summed("limit_refusals_total") == refused
    while metrics(served)("loop_lag_seconds_count") == 0:  # it is measured ten times a second
        pass


async def test_contracts_and_revocations_are_counted(tmp_path: Path) -> None:
    with serving(tmp_path, "--speed", "5") as served:
        async with served.connected() as client:
            await client.ask({"authorize": served.token})
            bought = await client.ask(
                {
                    "buy": "1",
                    "price": 10,
                    "parameters": {
                        "amount": 1,
                        "basis": "stake",
                        "contract_type": "CALL",
                        "currency": "USD",
                        "duration": 1,
                        "duration_unit": "t",
                        "symbol": "R_100",
                    },
                }
            )
            contract = bought["buy"]["contract_id"]
            watched = await client.ask(
                {"proposal_open_contract": 1, "contract_id": contract, "subscribe": 1}
            )
            while not watched["proposal_open_contract"].get("is_sold"):
                watched = await client.next()
            token = await client.ask(
                {"api_token": 1, "new_token": "other", "new_token_scopes": ["read"]}
            )
            (created,) = (
                each["token"]
                for each in token["api_token"]["tokens"]
                if each["display_name"] == "other"
            )
            await client.ask({"api_token": 1, "delete_token": created})
            found = metrics(served)
    assert found("settlement_seconds_count") == 1
    assert found("contracts_open") == found("settlements_due") == found("settlements_late") == 0
    assert found("tokens_revoked_total") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="worker processes need Linux")
@pytest.mark.sqlite
async def test_one_answer_has_the_metrics_of_every_worker(tmp_path: Path) -> None:
    with workers(tmp_path) as served:
        async with served.at_both():
            found = metrics(served)
    assert found("connections", worker="0") >= 1
    assert found("connections", worker="1") >= 1
    assert found.summed("calls_total", call="ping", outcome="ok") == found.summed(
        "connections_opened_total"
    )
    memory = "process_resident_memory_bytes"
    assert {sample.labels["worker"] for sample in found.families[memory].samples} == {"0", "1"}


@pytest.mark.lengthy
@pytest.mark.skipif(sys.platform != "linux", reason="worker processes need Linux")
@pytest.mark.sqlite
async def test_a_worker_that_replaces_another_states_when_it_began(tmp_path: Path) -> None:
    with Workers(tmp_path, "--workers", "2", "--seed", "workers") as served:
        before = served.workers()
        async with served.at(before[0]) as client:
            killed_at = time.time()
            os.kill(before[1], signal.SIGKILL)
            async with served.at(await replaced(served, before, client)):
                began = metrics(served).samples
        assert served.stop() == 0
    name = "process_start_time_seconds"
    assert (
        began[name, frozenset({("worker", "1")})]
        > killed_at
        > began[name, frozenset({("worker", "0")})]
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--metrics-token", TOKEN),
        ("--metrics-token", TOKEN, "--allowed-host", "a.example.com", "--demo"),
    ],
)
def test_a_token_admits_to_the_metrics(tmp_path: Path, options: tuple[str, ...]) -> None:
    with serving(tmp_path, *options) as served:
        assert get(served, "/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": f"Basic {TOKEN}"}):
            status, text = get(served, "/metrics", **headers)
            assert (status, "scopegate_" in text) == (401, False)


@pytest.mark.parametrize(
    "options", [("--allowed-host", "a.example.com"), ("--trusted-proxy", "127.0.0.1/32")]
)
def test_without_a_token_nobody_reads_them_through_a_proxy(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with serving(tmp_path, "--demo", *options) as served:
        status, text = get(served, "/metrics")
        assert status == 403
        assert "SCOPEGATE_METRICS_TOKEN" in text


def test_a_client_may_choose_open_metrics(served: Served) -> None:
    status, text = get(served, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.2", True),
        ("text/html, application/openmetrics-text", True),
        ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4", False),
        ("application/openmetrics-text; version=abc", False),
        ("application/openmetrics-text; version=1.0.0\xe9", False),
        ("text/plain; version=x", False),
        (";;,=", False),
    ],
)
def test_no_accept_makes_the_metrics_fail(served: Served, accept: str, is_open: bool) -> None:
    status, text = get(served, "/metrics", Accept=accept)
    assert status == 200
    assert text.endswith("# EOF\n") == is_open
    assert served.stderr == ""


@pytest.mark.lengthy
@pytest.mark.sqlite
def test_it_is_alive_but_not_ready_while_nothing_can_be_written(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        assert get(served, "/readyz") == (200, "ready\n")
        with contextlib.closing(sqlite3.connect(served.db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # and the market's mark waits behind it
            why = becomes(served, 503)
            assert "no write" in why
            assert get(served, "/healthz") == (200, "alive\n")
            other.execute("ROLLBACK")
        assert becomes(served, 200) == "ready\n"
        assert fetch(f"{served.page}healthz")[0] == 200


@pytest.mark.lengthy
def test_the_token_of_the_metrics_is_not_shown(tmp_path: Path) -> None:
    with serving(tmp_path, "--metrics-token", TOKEN) as served:
        get(served, "/metrics", Authorization="Bearer wrong-wrong-wrong")
        shown = [*served.lines, served.stderr, json.dumps(get(served, "/metrics")[1])]
    assert TOKEN not in "".join(shown)
