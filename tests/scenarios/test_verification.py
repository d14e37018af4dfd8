"""Codes by e-mail: who gets one, for what it is good, and where it is never seen."""

import pytest

from scopegate import testing
from scopegate.gateway.access import verification
from scopegate.gateway.access.mail import LogMailer
from scopegate.gateway.calls.errors import ApiError
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World
from tests import stores
from tests.conftest import Connected

ADA = "ada@example.com"


async def take(world: World, email: str, kind: str, code: str) -> None:
    await world.gateway.store.write(
        lambda transaction: verification.take(transaction, email, kind, code)
    )


async def refused(world: World, email: str, kind: str, code: str) -> str:
    with pytest.raises(ApiError) as refusal:
        await take(world, email, kind, code)
    return refusal.value.code


async def test_a_code_is_good_once_for_its_address_and_its_purpose(world: World) -> None:
    client = world.connect()
    assert (await client.ask({"verify_email": ADA, "type": "account_opening"}))["verify_email"] == 1
    code = world.mail.code(ADA)
    assert await refused(world, "bob@example.com", "account_opening", code) == "InvalidToken"
    assert await refused(world, ADA, "payment_withdraw", code) == "InvalidToken"
    assert await refused(world, ADA, "account_opening", code[:-1]) == "InvalidToken"
    await take(world, "Ada@Example.com", "account_opening", code)
    assert await refused(world, ADA, "account_opening", code) == "InvalidToken"


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\nBcc: eve@example.com",
        "ada@example.com\r\n\r\nAnother text",
        "ada@example.com, eve@example.com",
        "ada@example.com eve@example.com",
        "Ada <ada@example.com>",
        "ada@example.com\x00",
    ],
)
async def test_an_address_adds_no_recipient_and_no_header(world: World, address: str) -> None:
    client = world.connect()
    refusal = await client.refused({"verify_email": address, "type": "account_opening"})
    assert refusal in ("InputValidationFailed", "SanityCheckFailed")
    assert not world.mail.letters


async def test_a_code_is_too_old_after_an_hour(world: World) -> None:
    await world.connect().ask({"verify_email": ADA, "type": "account_opening"})
    await world.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE email_codes SET sent_at = sent_at - ?", verification.LIFETIME
        )
    )
    assert await refused(world, ADA, "account_opening", world.mail.code(ADA)) == "InvalidToken"


async def test_the_answer_does_not_tell_whether_an_address_is_known(world: World) -> None:
    await world.user(ADA)
    client = world.connect()
    for kind in ("account_opening", "payment_withdraw"):
        answers = []
        for email in (ADA, "stranger@example.com"):
            reply = await client.ask({"verify_email": email, "type": kind, "req_id": 1})
            del reply["echo_req"]
            answers.append(reply)
        assert answers[0] == answers[1]
    told = [(letter.to, letter.subject) for letter in world.mail.letters]
    assert told == [
        (ADA, "You already have an account"),
        ("stranger@example.com", "Your verification code"),
        (ADA, "Your verification code"),
    ]


async def test_nobody_is_flooded_with_letters(world: World) -> None:
    await world.user(ADA)
    clients = [world.connect(address=f"192.0.2.{number}") for number in range(6)]
    for email in (ADA, "stranger@example.com"):
        request = {"verify_email": email, "type": "payment_withdraw"}
        for client in clients[: verification.MAX_PER_ADDRESS]:
            assert (await client.ask(request))["verify_email"] == 1
        reply = await clients[-1].ask(request)
        assert reply["error"]["code"] == "RateLimit"
        assert reply["error"]["details"] == {"limit": "5 e-mails an hour to one address"}


async def test_one_client_does_not_write_to_everybody(world: World) -> None:
    client = world.connect()
    codes = [
        (await client.ask({"verify_email": f"a{n}@example.com", "type": "account_opening"}))
        for n in range(21)
    ]
    assert [n for n, reply in enumerate(codes) if "error" in reply] == [20]
    other = world.connect(address="192.0.2.7")
    assert "error" not in await other.ask({"verify_email": ADA, "type": "account_opening"})


async def told(client: Client, email: str, kind: str = "payment_withdraw") -> str:
    """The limit that refused a letter; empty if it was sent."""
    reply = await client.ask({"verify_email": email, "type": kind})
    if "error" not in reply:
        return ""
    assert reply["error"]["code"] == "RateLimit"
    limit: str = reply["error"]["details"]["limit"]
    return limit


@pytest.mark.parametrize("as_user", [False, True])
async def test_nobody_uses_up_the_letters_of_another(world: World, as_user: bool) -> None:
    """Not from one address block, signed in or not; the other is still sent theirs."""
    await world.user(ADA)
    eve = (await world.user("eve@example.com"))[0]
    sent = []
    for number in range(8):
        mallory = world.connect(address=f"2001:db8:0:1::{number}")
        if as_user and number % 2:
            await mallory.authorize(await world.token(loginid=eve.loginid))
        sent.append(await told(mallory, ADA))
    assert sent == [""] * 3 + ["3 e-mails an hour to one address from one client"] * 5
    assert await told(world.connect(address="198.51.100.7"), ADA) == ""


async def test_a_user_is_one_requester_wherever_they_are(world: World) -> None:
    await world.user(ADA)
    eve = (await world.user("eve@example.com"))[0]
    sent = []
    for number in range(4):
        client = world.connect(address=f"192.0.2.{number}")
        await client.authorize(await world.token(loginid=eve.loginid))
        sent.append(await told(client, ADA))
    assert [bool(limit) for limit in sent] == [False, False, False, True]


async def test_nobody_else_uses_up_letters_to_ones_own_address(connected: Connected) -> None:
    world = connected.world
    ada = (await world.user(ADA))[0]
    app = await world.app("read")
    by_app = await connected.connect(app_id=app.id)
    await by_app.authorize(await world.token(loginid=ada.loginid, app=app))
    for number in range(verification.MAX_PER_ADDRESS - 3):
        assert await told(world.connect(address=f"192.0.2.{number}"), ADA) == ""
    # An app that acts for her counts as anybody else.
    sent = [await told(by_app, ADA) for _ in range(4)]
    assert [bool(limit) for limit in sent] == [False, False, False, True]
    assert (
        await told(world.connect(address="192.0.2.99"), ADA) == "5 e-mails an hour to one address"
    )

    client = await connected.connect()
    await client.authorize(await world.token(loginid=ada.loginid))
    for _ in range(verification.MAX_PER_ADDRESS):
        assert await told(client, "ADA@example.com") == ""
    assert await told(client, ADA) == "5 e-mails an hour to one address"


async def test_an_app_at_the_users_address_keeps_them_from_no_letter(
    connected: Connected,
) -> None:
    world = connected.world
    ada = (await world.user(ADA))[0]
    app = await world.app("read")
    by_app = await connected.connect(app_id=app.id)
    await by_app.authorize(await world.token(loginid=ada.loginid, app=app))
    for number in range(20):
        await told(by_app, f"a{number}@example.com")
    assert await told(by_app, "a@example.com") == "20 e-mails a minute"
    client = await connected.connect()
    await client.authorize(await world.token(loginid=ada.loginid))
    assert await told(client, ADA) == ""


async def test_one_client_has_so_many_letters_an_hour(world: World) -> None:
    def an_hour(transaction: Transaction) -> None:
        for number in range(verification.MAX_PER_REQUESTER):
            requester = verification.Requester("192.0.2.7")
            email = f"a{number}@example.com"
            verification.create(transaction, email, verification.ACCOUNT_OPENING, requester)

    await world.gateway.store.write(an_hour)
    limit = "60 e-mails an hour from one client"
    assert await told(world.connect(address="192.0.2.7"), ADA, "account_opening") == limit
    assert await told(world.connect(address="192.0.2.8"), ADA, "account_opening") == ""


async def test_a_type_that_nothing_here_takes_is_refused(world: World) -> None:
    reply = await world.connect().ask({"verify_email": ADA, "type": "reset_password"})
    assert reply["error"]["code"] == "InvalidVerificationType"
    assert "account_opening" in reply["error"]["message"]


async def test_a_code_is_kept_as_its_digest_alone(world: World) -> None:
    await world.connect().ask({"verify_email": ADA, "type": "account_opening"})
    code = world.mail.code(ADA)
    assert code not in stores.content(world.gateway.settings.db)


async def test_without_a_mail_server_the_log_is_the_mailbox(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with testing.world() as world:
        await world.connect().ask({"verify_email": ADA, "type": "account_opening"})
        [letter] = world.mail.letters
        assert world.mail.code(ADA) not in capsys.readouterr().out
        LogMailer().send(letter)
        assert world.mail.code(ADA) in capsys.readouterr().out
