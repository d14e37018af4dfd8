"""People open accounts: over memory and over a real socket, and what keeps them from more."""

from pathlib import Path
from typing import Any

import pytest

from scopegate import testing
from scopegate.app import compose
from scopegate.exchange import ledger
from scopegate.gateway.access import passwords, users
from scopegate.settings import SettingsError, chosen
from scopegate.store.transactions import Transaction
from scopegate.testing import Client, World
from tests import stores
from tests.conftest import Connected
from tests.scenarios.test_races import UP, buying
from tests.stores import run_once

ADA = "ada@example.com"
PASSWORD = "Corr3ct horse"


async def code_for(world: World, client: Client, email: str = ADA) -> str:
    assert (await client.ask({"verify_email": email, "type": "account_opening"}))["verify_email"]
    return world.mail.code(email)


def sign_up(code: str, **more: Any) -> dict[str, Any]:
    return {
        "new_account_virtual": 1,
        "client_password": PASSWORD,
        "residence": "gb",
        "verification_code": code,
    } | more


async def signed_up(world: World, client: Client, email: str = ADA) -> dict[str, Any]:
    reply = await client.ask(sign_up(await code_for(world, client, email)))
    assert "error" not in reply, reply["error"]
    body: dict[str, Any] = reply["new_account_virtual"]
    return body


async def test_a_stranger_becomes_a_trader(connected: Connected) -> None:
    world, client = connected.world, await connected.connect()
    opened = await signed_up(world, client)
    assert opened["balance"] == 10_000
    assert opened["email"] == ADA
    assert opened["client_id"].startswith("VRTC")

    body = await client.authorize(opened["oauth_token"])
    assert (body["loginid"], body["country"]) == (opened["client_id"], "gb")
    parameters = {
        "amount": 10,
        "basis": "stake",
        "contract_type": "CALL",
        "currency": "USD",
        "duration": 5,
        "duration_unit": "t",
        "symbol": "R_100",
    }
    assert "buy" in await client.ask({"buy": 1, "price": 10, "parameters": parameters})

    real = (await client.ask({"new_account_real": 1, "currency": "EUR", "first_name": "Ada"}))[
        "new_account_real"
    ]
    assert (real["currency"], real["landing_company_short"]) == ("EUR", "svg")
    other = await connected.connect()
    body = await other.authorize(real["oauth_token"])
    assert (body["balance"], body["currency"], body["is_virtual"]) == (10_000, "EUR", 0)
    assert {account["loginid"] for account in body["account_list"]} == {
        opened["client_id"],
        real["client_id"],
    }
    assert (await other.ask({"get_settings": 1}))["get_settings"]["first_name"] == "Ada"


async def test_the_new_user_signs_in_at_the_pages_and_sees_the_app(world: World) -> None:
    app = await world.app("read", "admin")
    client = world.connect(app_id=app.id)
    opened = await signed_up(world, client)
    assert opened["oauth_token"].startswith("a1-")

    page = world.connect(at_pages=True)
    signed = await page.ask({"sign_in": 1, "email": "Ada@example.com", "password": PASSWORD})
    await page.authorize(signed["sign_in"]["accounts"][0]["token"])
    [shown] = (await page.ask({"oauth_apps": 1}))["oauth_apps"]
    assert (shown["app_id"], set(shown["scopes"])) == (app.id, {"read", "admin"})
    # What the app opens later is the app's to reach as well, and ends with it.
    await client.authorize(opened["oauth_token"])
    real = (await client.ask({"new_account_real": 1, "currency": "USD"}))["new_account_real"]
    body = await client.authorize(real["oauth_token"])
    assert body["scopes"] == ["read", "admin"]
    assert await client.refused({"topup_virtual": 1}) == "PermissionDenied"
    [shown] = (await page.ask({"connected_apps": 1}))["connected_apps"]
    assert shown["loginids"] == sorted([opened["client_id"], real["client_id"]])
    await page.ask({"revoke_oauth_app": app.id})
    for token in (opened["oauth_token"], real["oauth_token"]):
        assert await client.refused({"authorize": token}) == "InvalidToken"


async def test_a_code_opens_one_account(world: World) -> None:
    client = world.connect()
    code = await code_for(world, client)
    assert await client.refused(sign_up(code, email="bob@example.com")) == "InputValidationFailed"
    for field in ("client_password", "residence"):
        request = {key: value for key, value in sign_up(code).items() if key != field}
        reply = await client.ask(request)
        assert reply["error"]["details"].keys() == {field}
    assert await client.refused(sign_up(code, residence="xx")) == "InputValidationFailed"
    assert await client.refused(sign_up(code, type="wallet")) == "InvalidAccountType"
    assert "error" not in await client.ask(sign_up(code, email="ADA@example.com"))
    assert await client.refused(sign_up(code)) == "InvalidToken"
    assert await client.refused({"new_account_virtual": 1}) == "InputValidationFailed"


async def test_an_address_has_one_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.connect()
    first, second = [await code_for(world, client) for _ in range(2)]
    assert "error" not in await client.ask(sign_up(first))
    # The second code stays good: no password is hashed for it, however often it comes.
    monkeypatch.setattr(passwords, "MAX_WAITING", -passwords.AT_A_TIME)
    assert await client.refused(sign_up(second)) == "DuplicateAccount"


@pytest.mark.parametrize("password", ["short1A", "no capital 1", "NO SMALL 1", "No digit at all"])
async def test_a_weak_password_is_refused_and_not_repeated(world: World, password: str) -> None:
    client = world.connect()
    reply = await client.ask(sign_up("abcdefgh", client_password=password))
    assert reply["error"]["details"].keys() == {"client_password"}
    assert password not in str(reply)


async def test_secrets_of_a_sign_up_are_shown_nowhere(world: World) -> None:
    client = world.connect()
    code = await code_for(world, client)
    reply = await client.ask(sign_up(code))
    assert reply["echo_req"]["verification_code"] == "<not shown>"
    assert reply["echo_req"]["client_password"] == "<not shown>"
    assert code not in str(reply)
    await client.authorize(reply["new_account_virtual"]["oauth_token"])
    request = {
        "new_account_real": 1,
        "secret_answer": "Rosebud",
        "secret_question": "Memorable date",
    }
    reply = await client.ask(request)
    assert reply["echo_req"]["secret_answer"] == "<not shown>"
    assert (await client.ask({"get_settings": 1}))["get_settings"]["has_secret_answer"] == 1
    kept = stores.content(world.gateway.settings.db)
    assert PASSWORD not in kept
    assert "Rosebud" not in kept


async def test_who_is_signed_in_opens_another_demo_account_with_admin_alone(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token("read", "trade"))
    assert await client.refused({"new_account_virtual": 1}) == "PermissionDenied"
    assert await client.refused({"new_account_real": 1}) == "PermissionDenied"
    await client.authorize(await world.token("read", "admin"))
    opened = (await client.ask({"new_account_virtual": 1}))["new_account_virtual"]
    body = await client.authorize(opened["oauth_token"])
    assert body["scopes"] == ["read", "admin"]
    assert body["user_id"] == world.demo.user_id


async def test_a_token_for_one_address_opens_accounts_for_that_address(world: World) -> None:
    client = world.connect(address="192.0.2.1")
    await client.authorize(await world.token())
    request = {"api_token": 1, "new_token": "Here", "new_token_scopes": ["admin"]}
    made = await client.ask(request | {"valid_for_current_ip_only": 1})
    await client.authorize(made["api_token"]["tokens"][-1]["token"])
    opened = (await client.ask({"new_account_real": 1}))["new_account_real"]
    elsewhere = world.connect(address="192.0.2.2")
    assert await elsewhere.refused({"authorize": opened["oauth_token"]}) == "InvalidToken"
    await client.authorize(opened["oauth_token"])


async def test_a_user_opens_so_many_accounts_and_no_more(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    for _ in range(ledger.MAX_PER_USER - 3):
        assert "error" not in await client.ask({"new_account_real": 1, "currency": "USD"})
    assert await client.refused({"new_account_real": 1}) == "TooManyAccounts"
    assert await client.refused({"new_account_virtual": 1}) == "TooManyAccounts"


async def test_a_currency_is_settled_once_and_brings_the_opening_balance(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    opened = (await client.ask({"new_account_real": 1}))["new_account_real"]
    assert "currency" not in opened
    await client.authorize(opened["oauth_token"])
    witness = world.connect()
    await witness.authorize(opened["oauth_token"])
    first = (await witness.ask({"balance": 1, "subscribe": 1}))["balance"]
    assert (first["balance"], first["currency"]) == (0, "USD")

    assert (await client.ask({"set_account_currency": "BTC"}))["set_account_currency"] == 1
    # Live connections know it at once, and their streams go on.
    assert (await witness.next())["balance"] == {
        "id": first["id"],
        "balance": 0.2,
        "currency": "BTC",
        "loginid": opened["client_id"],
    }
    assert (await witness.ask({"payout_currencies": 1}))["payout_currencies"] == ["BTC"]
    assert (await client.ask({"set_account_currency": "BTC"}))["set_account_currency"] == 0
    assert await client.refused({"set_account_currency": "USD"}) == "SetAccountCurrencyError"
    assert await client.refused({"set_account_currency": "XYZ"}) == "InputValidationFailed"
    # The stream ends with its token, as it would have done before.
    await client.ask({"api_token": 1, "delete_token": opened["oauth_token"]})
    assert (await witness.next())["error"]["code"] == "InvalidToken"


async def test_a_markup_settles_no_currency(world: World) -> None:
    empty = await world.open_account("owner@example.com")
    app = await world.app("trade", owner=empty.user_id, markup="2")
    client = world.connect(app_id=app.id)
    await client.authorize(await world.token())
    reply = await client.ask(buying(UP))
    assert "error" not in reply, reply["error"]
    owner = world.connect()
    await owner.authorize(await world.token(loginid=empty.loginid))
    assert (await owner.ask({"set_account_currency": "BTC"}))["set_account_currency"] == 1


async def test_limits_keep_the_currency_in_which_they_were_set(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    opened = (await client.ask({"new_account_real": 1}))["new_account_real"]
    await client.authorize(opened["oauth_token"])
    await client.ask({"set_self_exclusion": 1, "max_losses": 100})
    assert await client.refused({"set_account_currency": "BTC"}) == "SetAccountCurrencyError"
    assert (await client.ask({"set_account_currency": "USD"}))["set_account_currency"] == 1
    limits = (await client.ask({"get_self_exclusion": 1}))["get_self_exclusion"]
    assert limits == {"max_losses": 100.0}


async def test_terms_are_accepted(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    present = (await client.ask({"website_status": 1}))["website_status"]
    assert (await client.ask({"get_settings": 1}))["get_settings"]["client_tnc_status"] is None
    assert (await client.ask({"tnc_approval": 1}))["tnc_approval"] == 1
    told = (await client.ask({"get_settings": 1}))["get_settings"]
    assert told["client_tnc_status"] == present["terms_conditions_version"]


async def test_personal_data_must_make_sense(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    for field, value in (
        ("date_of_birth", "1990-02-30"),
        ("date_of_birth", "2999-01-01"),
        ("place_of_birth", "xx"),
        ("citizen", "xx"),
        ("residence", "xx"),
        ("currency", "XYZ"),
    ):
        reply = await client.ask({"new_account_real": 1, field: value})
        assert reply["error"]["details"].keys() == {field}


async def test_every_country_is_listed_and_the_states_of_many(world: World) -> None:
    client = world.connect()
    countries = (await client.ask({"residence_list": 1}))["residence_list"]
    assert len(countries) == 249
    assert {"phone_idd": "62", "text": "Indonesia", "value": "id"} in countries
    assert len({country["value"] for country in countries}) == 249
    short = (await client.ask({"residence_list": 1, "query": ["value"]}))["residence_list"]
    assert {"value": "id"} in short
    states = (await client.ask({"states_list": "au"}))["states_list"]
    assert {"text": "Victoria", "value": "VIC"} in states
    assert (await client.ask({"states_list": "mc"}))["states_list"] == []
    assert await client.refused({"states_list": "xx"}) == "InputValidationFailed"


async def test_the_companies_are_those_of_the_accounts(world: World) -> None:
    client = world.connect()
    told = (await client.ask({"landing_company": "id"}))["landing_company"]
    assert (told["name"], told["virtual_company"]) == ("Indonesia", "virtual")
    details = await client.ask({"landing_company_details": told["financial_company"]["shortcode"]})
    assert details["landing_company_details"] == told["financial_company"]
    assert await client.refused({"landing_company": "xx"}) == "InputValidationFailed"
    assert await client.refused({"landing_company_details": "malta"}) == "UnknownLandingCompany"


async def test_answers_about_means_and_experience_are_kept(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())

    async def lacks_it() -> bool:
        told = (await client.ask({"get_account_status": 1}))["get_account_status"]
        return "financial_assessment_not_complete" in told["status"]

    assert (await client.ask({"get_financial_assessment": 1}))["get_financial_assessment"] == {}
    assert await lacks_it()
    assert await client.refused({"set_financial_assessment": 1}) == "InputValidationFailed"
    experience = {"cfd_trading_experience": "1-2 years", "forex_trading_experience": "none"}
    scores = await client.ask({"set_financial_assessment": 1, "trading_experience": experience})
    assert scores["set_financial_assessment"] == {
        "cfd_score": 1,
        "financial_information_score": 0,
        "total_score": 2,
        "trading_score": 2,
    }
    means = {"occupation": "Managers"}
    await client.ask({"set_financial_assessment": 1, "financial_information": means})
    told = (await client.ask({"get_financial_assessment": 1}))["get_financial_assessment"]
    assert told == {**experience, **means}
    assert not await lacks_it()


async def test_answers_are_bounded(world: World) -> None:
    client = world.connect()
    await client.authorize(await world.token())
    many = {f"question_{n}": "x" * 200 for n in range(50)}
    more = {f"other_{n}": "x" * 200 for n in range(50)}
    request = {"set_financial_assessment": 1}
    assert "error" not in await client.ask(request | {"trading_experience": many})
    assert (
        await client.refused(request | {"financial_information": more})
        == await client.refused(request | {"financial_information": {**many, "one_more": "x"}})
        == await client.refused(request | {"financial_information": {"occupation": ""}})
        == "InputValidationFailed"
    )


async def test_every_user_has_a_country(connected: Connected) -> None:
    """A web app asks for the company of its user's country, and stops where there is none."""
    world = connected.world
    british = await world.user("ada@example.com", country="gb")
    for loginid, country in ((world.demo.loginid, "id"), (british[0].loginid, "gb")):
        client = await connected.connect()
        assert (await client.authorize(await world.token(loginid=loginid)))["country"] == country
        told = (await client.ask({"get_settings": 1}))["get_settings"]
        assert told["country_code"] == country
        company = (await client.ask({"landing_company": country}))["landing_company"]
        assert company["id"] == country
        # The user's own residence is reported everywhere.
        assert (await client.ask({"set_settings": 1, "residence": "za"}))["set_settings"] == 1
        assert (await client.authorize(await world.token(loginid=loginid)))["country"] == "za"
        unknown = await client.ask({"set_settings": 1, "residence": "xx"})
        assert unknown["error"]["details"].keys() == {"residence"}
    status = (await client.ask({"website_status": 1}))["website_status"]
    assert status["clients_country"] == "id"


async def test_the_operator_says_where_users_live(tmp_path: Path) -> None:
    async with testing.world(residence="ke") as world:
        client = world.connect()
        status = (await client.ask({"website_status": 1}))["website_status"]
        assert status["clients_country"] == "ke"
        assert (await client.authorize(await world.token()))["country"] == "ke"
    with pytest.raises(SettingsError, match="'xx' is not a two-letter country code"):
        async with compose(chosen(db=tmp_path / "none.db", residence="xx")):
            pass
    assert not (tmp_path / "none.db").exists()


async def test_users_of_an_older_database_get_a_country(tmp_path: Path) -> None:
    settings = chosen(db=tmp_path / "old.db", port=0)
    async with compose(settings):
        pass

    def as_it_was(transaction: Transaction) -> None:
        users.create(transaction, "ada@example.com", country="gb")
        transaction.execute("UPDATE users SET country = '' WHERE is_demo = 1")

    run_once(settings.db, as_it_was)
    async with compose(settings) as gateway:
        rows = await gateway.store.read(
            lambda reader: reader.all("SELECT country FROM users ORDER BY id")
        )
    assert [row["country"] for row in rows] == ["id", "gb"]
