"""What recordings have instead of secrets and random ids."""

import uuid
from typing import Any

import orjson
import pytest

from scopegate.composition import declared
from scopegate.gateway.calls.token_form import NOT_SHOWN, new_app_token, new_owner_token
from scopegate.recordings.masking import Masks, ids_in, is_secret_field, numbered_id, with_ids

TOKEN = new_owner_token()
APP_TOKEN = new_app_token()
PUBLISHED_TOKEN = "kq8Wz3LfPm1TxYd"
FOREIGN_APP_TOKEN = "a1-" + "Ab3" * 9 + "xy"


@pytest.mark.parametrize(
    "message",
    [
        {"authorize": PUBLISHED_TOKEN},
        {"authorize": "MULTI", "tokens": [PUBLISHED_TOKEN]},
        {"echo_req": {"authorize": PUBLISHED_TOKEN}, "msg_type": "authorize"},
        {"echo_req": {"copy_start": [PUBLISHED_TOKEN]}},
        {"api_token": {"tokens": [{"display_name": "Bot", "token": PUBLISHED_TOKEN}]}},
        {"new_account_real": {"oauth_token": PUBLISHED_TOKEN}},
        {"new_account_virtual": {"refresh_token": PUBLISHED_TOKEN}},
        {"verify_email": "ada@example.com", "verification_code": PUBLISHED_TOKEN},
        {"token_rotate": PUBLISHED_TOKEN},
        {"app_register": {"client_secret": PUBLISHED_TOKEN}},
        {"cashier": f"https://pay.example.com/?token={PUBLISHED_TOKEN}&page=1"},
        {"authorize": PUBLISHED_TOKEN, "passthrough": {"again": f"Bearer {PUBLISHED_TOKEN}"}},
        {"passthrough": {PUBLISHED_TOKEN: 1}, "authorize": PUBLISHED_TOKEN},
    ],
)
def test_secrets_are_masked_wherever_they_are(message: dict[str, Any]) -> None:
    shown = Masks().masked(message)
    assert PUBLISHED_TOKEN not in orjson.dumps(shown).decode()
    assert "<secret 1>" in orjson.dumps(shown).decode()


@pytest.mark.parametrize(
    "token", [TOKEN, APP_TOKEN, FOREIGN_APP_TOKEN], ids=["owner", "app", "foreign"]
)
def test_tokens_are_masked_in_fields_of_any_name(token: str) -> None:
    assert Masks().masked({"note": f"see {token}."}) == {"note": "see <secret 1>."}


def test_the_same_secret_has_the_same_placeholder() -> None:
    masks = Masks()
    first = masks.masked({"authorize": TOKEN})
    other = masks.masked({"authorize": "another-token"})
    again = masks.masked({"passthrough": {"used": TOKEN}, "copy_start": TOKEN})
    assert first == {"authorize": "<secret 1>"}
    assert other == {"authorize": "<secret 2>"}
    assert again == {"passthrough": {"used": "<secret 1>"}, "copy_start": "<secret 1>"}


@pytest.mark.parametrize(
    "message",
    [
        {"authorize": "MULTI"},
        {"echo_req": {"authorize": NOT_SHOWN}},
        {"api_token": 1, "new_token": "My bot", "new_token_scopes": ["read"]},
        {"api_token": {"new_token": 1, "delete_token": 1}},
        {"error": {"code": "InvalidToken", "message": "The token is invalid."}},
        {"get_settings": {"has_secret_answer": 1, "country_code": "id"}},
        {"buy": {"shortcode": "CALL_R_100_19.55_1767268800_1767268860_S0P_0", "contract_id": 3}},
        {"mt5_password_check": 1, "password_type": "main"},
        {"authorize": "<secret 1>"},
    ],
)
def test_nothing_else_is_changed(message: dict[str, Any]) -> None:
    assert Masks().masked(message) == message


def test_short_secrets_are_masked_only_in_their_own_fields() -> None:
    """Else every price with a five in it would be masked."""
    masks = Masks()
    assert masks.masked({"verification_code": "5"}) == {"verification_code": "<secret 1>"}
    assert masks.masked({"display_value": "15.50"}) == {"display_value": "15.50"}


def test_numbers_can_be_codes() -> None:
    assert Masks().masked({"verification_code": 482910}) == {"verification_code": "<secret 1>"}


def test_fields_of_your_own_calls_are_masked() -> None:
    assert Masks({"pin"}).masked({"unlock": 1, "pin": "4711"}) == {"unlock": 1, "pin": "<secret 1>"}


def test_every_secret_field_of_this_gateway_is_known() -> None:
    assert [name for name in declared().secret_fields if not is_secret_field(name)] == []


def test_random_ids_are_numbered_in_the_order_in_which_they_appear() -> None:
    masks = Masks()
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    assert masks.masked({"tick": {"id": first}, "subscription": {"id": first}}) == {
        "tick": {"id": numbered_id(1)},
        "subscription": {"id": numbered_id(1)},
    }
    assert masks.masked({"forget_all": [second, first]}) == {
        "forget_all": [numbered_id(2), numbered_id(1)]
    }


def test_ids_are_replaced_within_texts() -> None:
    message = {"error": {"message": f"No stream {numbered_id(1)}."}, "n": [numbered_id(2), 1]}
    assert list(ids_in(message)) == [numbered_id(1), numbered_id(2)]
    assert with_ids(message, {numbered_id(1): "x"}) == {
        "error": {"message": "No stream x."},
        "n": [numbered_id(2), 1],
    }
