"""Codes by e-mail: who gets one, for what it is good, and where it is never seen."""

import sqlite3

import pytest

from gateway.access import verification
from gateway.errors import ApiError
from gateway.mail import LogMailer
from gateway.testing import World, world

ADA = "ada@example.com"


async def take(here: World, email: str, kind: str, code: str) -> None:
    await here.gateway.store.write(
        lambda transaction: verification.take(transaction, email, kind, code)
    )


async def refused(here: World, email: str, kind: str, code: str) -> str:
    with pytest.raises(ApiError) as refusal:
        await take(here, email, kind, code)
    return refusal.value.code


async def test_a_code_is_good_once_for_its_address_and_its_purpose(here: World) -> None:
    client = here.connect()
    assert (await client.ask({"verify_email": ADA, "type": "account_opening"}))["verify_email"] == 1
    code = here.mail.code(ADA)
    assert await refused(here, "bob@example.com", "account_opening", code) == "InvalidToken"
    assert await refused(here, ADA, "payment_withdraw", code) == "InvalidToken"
    assert await refused(here, ADA, "account_opening", code[:-1]) == "InvalidToken"
    await take(here, "Ada@Example.com", "account_opening", code)
    assert await refused(here, ADA, "account_opening", code) == "InvalidToken"


async def test_a_code_is_too_old_after_an_hour(here: World) -> None:
    await here.connect().ask({"verify_email": ADA, "type": "account_opening"})
    await here.gateway.store.write(
        lambda transaction: transaction.execute(
            "UPDATE email_codes SET sent_at = sent_at - ?", verification.LIFETIME
        )
    )
    assert await refused(here, ADA, "account_opening", here.mail.code(ADA)) == "InvalidToken"


async def test_the_answer_does_not_tell_whether_an_address_is_known(here: World) -> None:
    await here.user(ADA)
    client = here.connect()
    for kind in ("account_opening", "payment_withdraw"):
        answers = []
        for email in (ADA, "stranger@example.com"):
            reply = await client.ask({"verify_email": email, "type": kind, "req_id": 1})
            del reply["echo_req"]
            answers.append(reply)
        assert answers[0] == answers[1]
    told = [(letter.to, letter.subject) for letter in here.mail.letters]
    assert told == [
        (ADA, "You have an account already"),
        ("stranger@example.com", "Your verification code"),
        (ADA, "Your verification code"),
    ]


async def test_nobody_is_flooded_with_letters(here: World) -> None:
    await here.user(ADA)
    client = here.connect()
    for email in (ADA, "stranger@example.com"):
        request = {"verify_email": email, "type": "payment_withdraw"}
        for _ in range(verification.MOST_OF_AN_ADDRESS):
            assert (await client.ask(request))["verify_email"] == 1
        reply = await client.ask(request)
        assert reply["error"]["code"] == "RateLimit"
        assert reply["error"]["details"] == {"limit": "5 letters an hour for one address"}


async def test_one_client_does_not_write_to_everybody(here: World) -> None:
    client = here.connect()
    codes = [
        (await client.ask({"verify_email": f"a{n}@example.com", "type": "account_opening"}))
        for n in range(21)
    ]
    assert [n for n, reply in enumerate(codes) if "error" in reply] == [20]
    other = here.connect(address="192.0.2.7")
    assert "error" not in await other.ask({"verify_email": ADA, "type": "account_opening"})


async def test_a_type_that_nothing_here_takes_is_refused(here: World) -> None:
    reply = await here.connect().ask({"verify_email": ADA, "type": "reset_password"})
    assert reply["error"]["code"] == "InvalidVerificationType"
    assert "account_opening" in reply["error"]["message"]


async def test_a_code_is_kept_as_its_digest_alone(here: World) -> None:
    await here.connect().ask({"verify_email": ADA, "type": "account_opening"})
    code = here.mail.code(ADA)
    with sqlite3.connect(here.gateway.store.path) as database:
        assert code not in "\n".join(database.iterdump())
    database.close()


async def test_without_a_mail_server_the_log_is_the_mailbox(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with world() as here:
        await here.connect().ask({"verify_email": ADA, "type": "account_opening"})
        [letter] = here.mail.letters
        assert here.mail.code(ADA) not in capsys.readouterr().out
        LogMailer().send(letter)
        assert here.mail.code(ADA) in capsys.readouterr().out
