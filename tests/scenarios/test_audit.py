"""The audit trail: what is recorded, who reads it, and that nothing in it can be changed unseen."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from scopegate import retention
from scopegate.gateway.access import audit, users
from scopegate.gateway.calls import token_form
from scopegate.retention import DAY
from scopegate.store.transactions import Snapshot, Transaction
from scopegate.testing import Client, World
from tests.scenarios.test_growth import purge, run


async def trail(client: Client) -> list[dict[str, Any]]:
    """What the owner is shown, oldest first."""
    return list(reversed((await client.ask({"audit_trail": 1, "limit": 500}))["audit_trail"]))


async def faults(world: World) -> list[str]:
    return await world.gateway.store.read(lambda reader: list(audit.faults(reader)))


def told(records: list[dict[str, Any]], event: str) -> dict[str, Any]:
    """The latest record of this event."""
    return [record for record in records if record["event"] == event][-1]


async def test_an_owner_sees_who_changed_what(world: World) -> None:
    owner = await world.owner()
    bot = world.connect()
    admin = await world.token("admin", "read")
    await bot.authorize(admin)
    made = await bot.ask({"api_token": 1, "new_token": "Bot", "new_token_scopes": ["read"]})
    (secret,) = (
        each["token"] for each in made["api_token"]["tokens"] if each["display_name"] == "Bot"
    )
    app = await world.app("read")
    await world.token("read", app=app)
    await bot.ask({"set_settings": 1, "first_name": "Ada"})
    await owner.ask({"revoke_access": app.id})
    records = await trail(owner)

    assert told(records, "signed in")["about"] == "address: 127.0.0.1"
    created = next(each for each in records if "Bot" in each["about"])
    assert (created["event"], created["actor"].split()[0]) == ("token created", "token")
    assert "scopes: read" in created["about"]
    assert told(records, "called")["about"].startswith("call: set_settings")
    assert f"app: {app.id}" in told(records, "app connected")["about"]
    gone = told(records, "app disconnected")
    assert (gone["actor"], f"app: {app.id}" in gone["about"]) == ("owner", True)
    assert records[-1]["event"] == "tokens ended"
    assert secret not in str(records)
    assert admin not in str(records)
    assert await faults(world) == []


async def test_only_the_owner_reads_it_and_only_their_own(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    assert await client.refused({"audit_trail": 1}) == "PermissionDenied"
    await world.user("ada@example.com")
    owner = await world.owner()
    numbers = {record["number"] for record in await trail(owner)}
    everything = await world.gateway.store.read(lambda reader: audit.records(reader, limit=1000))
    others = {each.number for each in everything if each.user_id != world.user_id}
    assert others
    assert numbers.isdisjoint(others)


async def test_a_failed_sign_in_is_recorded(world: World) -> None:
    def with_password(transaction: Any) -> str:
        email: str = users.by_id(transaction, world.user_id)["email"]
        users.set_password(transaction, email, "argon2 hash")
        return email

    email = await world.gateway.store.write(with_password)
    page = world.connect(at_pages=True, address="192.0.2.7")
    assert await page.refused({"sign_in": 1, "email": email, "password": "wrong"})
    await world.gateway.access.records.flush()
    failed = told(await trail(await world.owner()), "sign-in failed")
    assert failed["about"] == "address: 192.0.2.7"


async def test_locking_a_user_out_is_recorded(world: World) -> None:
    account, *_ = await world.user("ada@example.com")
    await world.token(loginid=account.loginid)

    def lock(transaction: Any) -> int:
        transaction.actor = audit.COMMAND
        users.disable(transaction, "ada@example.com")
        return int(users.by_email(transaction, "ada@example.com")["id"])

    user_id = await world.gateway.store.write(lock)
    records = await world.gateway.store.read(
        lambda reader: audit.records(reader, user_id=user_id, limit=2)
    )
    assert [each.event for each in records] == ["tokens ended", "user disabled"]
    assert {each.actor for each in records} == {"command line"}


async def test_what_did_not_happen_is_not_recorded(world: World) -> None:
    owner = await world.owner()
    before = len(await trail(owner))
    assert await owner.refused({"revoke_access": 987654}) == "InvalidAppID"
    assert len(await trail(owner)) == before


async def test_what_is_repeated_is_recorded_once(world: World) -> None:
    await world.user("ada@example.com")

    async def events_after(change: Callable[[Transaction, str], object]) -> list[str]:
        number = (await world.gateway.store.read(audit.head)).number
        for _ in range(2):
            await world.gateway.store.write(lambda each: change(each, "ada@example.com"))
        records = await world.gateway.store.read(lambda reader: audit.records(reader, limit=9))
        return [record.event for record in records if record.number > number]

    assert await events_after(users.enable) == []
    assert await events_after(users.disable) == ["user disabled"]
    assert await events_after(users.enable) == ["user enabled"]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE audit SET about = '{}' WHERE id = 3", "record 3 of the audit trail was changed"),
        ("UPDATE audit SET at = at + 1 WHERE id = 3", "record 3 of the audit trail was changed"),
        ("UPDATE audit SET actor = 'x' WHERE id = 3", "record 3 of the audit trail was changed"),
        ("UPDATE audit SET user_id = NULL WHERE id = 3", "record 3 of the audit trail was changed"),
        ("DELETE FROM audit WHERE id = 3", "record 3 of the audit trail is missing"),
        ("DELETE FROM audit WHERE id = 1", "record 1 of the audit trail is missing"),
        (
            "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
            "the audit trail ends with record {before}, not with {last} as stored",
        ),
        (
            "INSERT INTO audit SELECT id + 1, at, event, user_id, actor, about, digest FROM audit"
            " WHERE id = (SELECT max(id) FROM audit)",
            "record {next} of the audit trail was changed",
        ),
        (
            "INSERT INTO audit SELECT -id, at, event, user_id, actor, about, digest FROM audit"
            " WHERE id = 3",
            "record -3 of the audit trail was inserted before its first record",
        ),
    ],
)
async def test_a_change_breaks_the_chain(world: World, damage: str, fault: str) -> None:
    for _ in range(4):
        await world.token()
    last = (await world.gateway.store.read(audit.head)).number
    assert last > 4
    assert await faults(world) == []
    await run(world, damage)
    expected = fault.format(before=last - 1, last=last, next=last + 1)
    assert expected in await faults(world)


async def test_the_oldest_are_deleted_and_leave_an_anchor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        await world.token()
    last = (await world.gateway.store.read(audit.head)).number
    monkeypatch.setattr(retention, "MAX_RECORDS", 3)
    await purge(world)
    kept = await world.gateway.store.read(lambda reader: audit.records(reader, limit=100))
    assert [each.number for each in kept] == [last, last - 1, last - 2]
    assert await faults(world) == []
    await run(
        world,
        "INSERT INTO audit SELECT id - 1, at, event, user_id, actor, about, digest FROM audit"
        " WHERE id = ?",
        last - 2,
    )
    inserted = f"record {last - 3} of the audit trail was inserted before its first record"
    assert await faults(world) == [inserted]
    await run(world, "DELETE FROM audit WHERE id <= ?", last - 2)
    assert await faults(world) == [f"record {last - 2} of the audit trail is missing"]


async def test_old_records_are_deleted_with_all_before_them(world: World) -> None:
    for _ in range(6):
        await world.token()
    # The clock was set back once: the record before is newer, but goes too.
    await run(world, "UPDATE audit SET at = ? WHERE id = 3", time.time() - 401 * DAY)
    await purge(world)
    kept = await world.gateway.store.read(lambda reader: audit.records(reader, limit=100))
    assert min(each.number for each in kept) == 4


async def test_a_gap_does_not_stop_retention(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(6):
        await world.token()
    last = (await world.gateway.store.read(audit.head)).number
    await run(world, "DELETE FROM audit WHERE id = 2")
    monkeypatch.setattr(retention, "MAX_RECORDS", 3)
    await purge(world)
    kept = await world.gateway.store.read(lambda reader: audit.records(reader, limit=100))
    assert [each.number for each in kept] == [last, last - 1, last - 2]
    assert await faults(world) == []


async def test_a_client_with_many_addresses_adds_few_records(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_ADDRESSES", 2)
    token = await world.token("read")
    for number in (1, 2, 3, 4, 1):
        await world.connect(address=f"192.0.2.{number}").authorize(token)
        await world.gateway.access.records.flush()
    rows = await world.gateway.store.read(
        lambda reader: reader.all("SELECT address, times FROM daily_authorizations ORDER BY 1")
    )
    counted = {row["address"]: row["times"] for row in rows}
    assert counted == {"192.0.2.1": 2, "192.0.2.2": 1, audit.OTHER_ADDRESSES: 2}


@pytest.mark.sqlite
async def test_retention_reads_few_of_many_records(world: World) -> None:
    await run(
        world,
        "WITH RECURSIVE numbers (id) AS (SELECT 1000 UNION ALL SELECT id + 1 FROM numbers LIMIT ?)"
        " INSERT INTO audit SELECT id, ?, '', NULL, '', '{}', '' FROM numbers",
        20_000,
        time.time(),
    )

    def thousand_steps(reader: Snapshot) -> int:
        """How many thousand steps SQLite takes to find what to delete: nothing."""
        steps: list[None] = []
        reader._connection.set_progress_handler(lambda: steps.append(None), 1_000)
        assert audit.oldest(reader, time.time() - DAY, 1_000_000, 200) == []
        reader._connection.set_progress_handler(None, 0)
        return len(steps)

    assert await world.gateway.store.read(thousand_steps) < 10


async def test_authorizations_are_counted_by_day_and_address(world: World) -> None:
    token = await world.token("read")
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        await world.connect(address=address).authorize(token)
        await world.gateway.access.records.flush()
    await purge(world)
    owner = await world.owner()
    assert "authorized" not in {record["event"] for record in await trail(owner)}  # the day goes on
    await run(world, "UPDATE daily_authorizations SET day = 19000")
    await purge(world)
    await purge(world)
    found = [each["about"] for each in await trail(owner) if each["event"] == "authorized"]
    ours = [about for about in found if token_form.masked(token) in about]
    assert len(ours) == 2
    one, two = sorted(ours)
    assert one.startswith("address: 192.0.2.1, day: 2022-01-08")
    assert "times: 2" in one
    assert two.startswith("address: 192.0.2.2, day: 2022-01-08")
    assert "times: 1" in two
    assert await faults(world) == []
