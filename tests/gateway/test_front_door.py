"""The front door, attacked: any text gets exactly one reply, in strict JSON, and no traceback.

More than half of the texts are valid messages, slightly broken. A longer attack:
`pytest tests/gateway/test_front_door.py --hypothesis-profile=long`.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scopegate import testing
from scopegate.testing import Client, MemoryClient, World

VALID: dict[str, list[dict[str, Any]]] = {
    "account_list": [{"account_list": 1}],
    "account_reset": [{"account_reset": 1}],
    "activity": [{"activity": 1, "limit": 5, "own_pages": 1}],
    "active_symbols": [
        {"active_symbols": "brief", "product_type": "basic"},
        {"active_symbols": "full", "landing_company": "svg"},
    ],
    "api_token": [
        {"api_token": 1},
        {"api_token": 1, "new_token": "Mine", "new_token_scopes": ["read", "trade"]},
        {"api_token": 1, "delete_token": "***"},
    ],
    "app_delete": [{"app_delete": 1234}],
    "app_restrict": [
        {"app_restrict": 1234, "restrictions": {"max_stake": 5, "symbols": ["R_100"]}},
        {"app_restrict": 1234, "restrictions": {}, "expires_at": 0},
    ],
    "fault_end": [{"fault_end": 12}],
    "fault_kinds": [{"fault_kinds": 1}],
    "fault_list": [{"fault_list": 1}],
    "fault_start": [
        {"fault_start": "drop", "options": {"after": "buy"}},
        {"fault_start": "latency", "token": "***"},
        {"fault_start": "spike", "options": {"percent": 2.5, "times": 0}, "app_id": 1234},
    ],
    "restriction_kinds": [{"restriction_kinds": 1}],
    "token_create": [
        {
            "token_create": 1,
            "name": "Mine",
            "scopes": ["read", "trade"],
            "expires_at": 4_000_000_000,
            "restrictions": {
                "networks": ["10.0.0.0/8", "2001:db8::1"],
                "accounts": ["CR900001"],
                "calls_per_minute": 60,
                "max_loss_per_day": 50.5,
                "no_trading": ["22:00-06:00"],
            },
        },
    ],
    "token_restrict": [{"token_restrict": "***", "restrictions": {"max_open_contracts": 3}}],
    "token_restrictions": [{"token_restrictions": 1}],
    "token_rotate": [{"token_rotate": "***", "overlap": 60}],
    "app_flow": [{"app_flow": 1}, {"app_flow": 1, "app_id": 1234, "flow": "code"}],
    "app_get": [{"app_get": 1234}],
    "app_list": [{"app_list": 1}],
    "app_markup_details": [
        {"app_markup_details": 1, "date_from": "2026-01-01 00:00:00", "date_to": "1767355200"},
        {
            "app_markup_details": 1,
            "date_from": 0,
            "date_to": 9_999_999_999,
            "sort": "ASC",
            "sort_fields": ["app_id", "transaction_time"],
            "offset": 1,
        },
    ],
    "app_markup_statistics": [
        {"app_markup_statistics": 1, "date_from": "0", "date_to": "2026-12-31 23:59:59"}
    ],
    "app_origins": [
        {"app_origins": 1234, "allowed_origins": ["https://bot.example.com"]},
        {"app_origins": 1234},
    ],
    "app_register": [
        {
            "app_register": 1,
            "name": "Mine",
            "scopes": ["read"],
            "redirect_uri": "https://mine.example.com/back",
            "app_markup_percentage": 1.5,
        }
    ],
    "app_secret": [
        {"app_secret": 1},
        {"app_secret": 1, "app_id": 1234, "action": "create"},
        {"app_secret": 1, "app_id": 1234, "action": "delete"},
    ],
    "app_update": [{"app_update": 1234, "name": "Mine", "scopes": ["read"]}],
    "asset_index": [{"asset_index": 1}],
    "audit_trail": [{"audit_trail": 1, "limit": 5}],
    "authorize": [{"authorize": "abcdefgh"}, {"authorize": "MULTI", "tokens": ["a", "b"]}],
    "balance": [{"balance": 1, "account": "all", "subscribe": 1}, {"balance": 1}],
    "buy": [
        {"buy": "uw2mk7no3oktoRVVsB4Dz7TQnFfABuFDgO95", "price": 100},
        {
            "buy": 1,
            "price": 100,
            "subscribe": 1,
            "passthrough": {"idempotency_key": "mine"},
            "parameters": {
                "contract_type": "CALL",
                "symbol": "R_100",
                "currency": "USD",
                "amount": 10,
                "basis": "stake",
                "duration": 5,
                "duration_unit": "t",
                "barrier": "+0.10",
            },
        },
    ],
    "buy_contract_for_multiple_accounts": [
        {
            "buy_contract_for_multiple_accounts": 1,
            "price": 100,
            "tokens": ["abcdefgh"],
            "parameters": {
                "contract_type": "DIGITODD",
                "symbol": "1HZ100V",
                "currency": "USD",
                "amount": 10,
                "basis": "payout",
                "duration": 1,
                "duration_unit": "t",
            },
        }
    ],
    "cancel": [{"cancel": 1}],
    "cashier": [
        {"cashier": "deposit", "provider": "doughflow"},
        {"cashier": "withdraw", "type": "api", "amount": 1, "verification_code": "my_code_1"},
        {"cashier": "withdraw", "verification_code": "my_code_1"},
    ],
    "connected_apps": [{"connected_apps": 1}],
    "consent": [
        {
            "consent": 1,
            "query": "app_id=1234&state=x",
            "returns_to": "https://app.example.com",
            "loginids": ["VRTC9000001"],
            "scopes": ["read"],
        },
        {
            "consent": 1,
            "query": "client_id=1234",
            "returns_to": "https://app.example.com",
            "name": "App",
            "app_markup_percentage": 0.5,
            "loginids": ["VRTC9000001"],
            "scopes": ["read"],
        },
    ],
    "consent_refuse": [{"consent_refuse": 1, "query": "app_id=1234"}],
    "consent_request": [
        {"consent_request": 1, "query": "app_id=1234&scopes=read"},
        {"consent_request": 1, "query": "client_id=1089&response_type=code&state=%ff"},
    ],
    "contract_update": [
        {"contract_update": 1, "contract_id": 1, "limit_order": {"take_profit": 5}},
        {"contract_update": 1, "contract_id": 1, "limit_order": {"stop_loss": None}},
    ],
    "contract_update_history": [{"contract_update_history": 1, "contract_id": 1, "limit": 10}],
    "contracts_for": [{"contracts_for": "R_50", "currency": "USD", "landing_company": "svg"}],
    "contracts_for_company": [{"contracts_for_company": 1}],
    "copy_report": [{"copy_report": 1, "limit": 5, "subscribe": 1}],
    "copy_start": [
        {"copy_start": "uw2mk7no3oktoRVVsB4Dz7TQnFgrthg"},
        {
            "copy_start": "abcdefghijklmnop",
            "assets": ["R_50", "R_100"],
            "trade_types": "CALL",
            "min_trade_stake": "1",
            "max_trade_stake": 20.5,
        },
    ],
    "copy_stop": [{"copy_stop": "copy-0123456789abcdef"}, {"copy_stop": "abcdefghijklmnop"}],
    "copytrading_list": [{"copytrading_list": 1}],
    "copytrading_statistics": [{"copytrading_statistics": 1, "trader_id": "CR900001"}],
    "exchange_rates": [
        {"exchange_rates": 1, "base_currency": "USD"},
        {
            "exchange_rates": 1,
            "base_currency": "BTC",
            "target_currency": "EUR",
            "include_spread": 1,
            "subscribe": 1,
        },
    ],
    "economic_calendar": [{"economic_calendar": 1, "currency": "EUR"}],
    "forget": [{"forget": "d1ee7d0d-3ca9-fbb4-720b-5312d487185b"}],
    "forget_all": [{"forget_all": "ticks"}, {"forget_all": ["ticks", "candles"]}],
    "get_account_status": [{"get_account_status": 1}],
    "get_financial_assessment": [{"get_financial_assessment": 1}],
    "get_limits": [{"get_limits": 1}],
    "get_self_exclusion": [{"get_self_exclusion": 1}],
    "get_settings": [{"get_settings": 1}],
    "landing_company": [{"landing_company": "gb"}],
    "landing_company_details": [{"landing_company_details": "svg", "country": "gb"}],
    "limits": [{"limits": 1}],
    "login_history": [{"login_history": 1, "limit": 25}],
    "logout": [{"logout": 1}],
    "multiplier_financing": [{"multiplier_financing": "R_100", "start": 0, "end": 1767355200}],
    "new_account_real": [
        {"new_account_real": 1},
        {
            "new_account_real": 1,
            "currency": "EUR",
            "first_name": "Ada",
            "date_of_birth": "1815-12-10",
            "secret_answer": "Byron",
            "tnc_acceptance": 1,
        },
    ],
    "new_account_virtual": [
        {"new_account_virtual": 1},
        {
            "new_account_virtual": 1,
            "client_password": "Corr3ct horse",
            "residence": "gb",
            "verification_code": "abcdefgh12345678",
            "utm_source": "page",
        },
    ],
    "oauth_apps": [{"oauth_apps": 1}],
    "operator_app_update": [{"operator_app_update": 1089, "disabled": 0}],
    "operator_end_session": [{"operator_end_session": "0123456789abcdef"}],
    "operator_overview": [{"operator_overview": 1, "subscribe": 1}],
    "operator_sign_in": [{"operator_sign_in": 1, "operator_token": "a-token-of-the-operator"}],
    "operator_user_update": [{"operator_user_update": "ada@example.com", "disabled": 0}],
    "page_info": [{"page_info": 1}],
    "payment_methods": [{"payment_methods": 1, "country": "id"}],
    "paymentagent_create": [
        {
            "paymentagent_create": 1,
            "code_of_conduct_approval": 1,
            "commission_deposit": 1,
            "commission_withdrawal": 1.5,
            "email": "agent@example.com",
            "information": "Cash.",
            "payment_agent_name": "Corner Shop",
            "supported_payment_methods": [{"payment_method": "Cash"}],
            "urls": [{"url": "https://shop.example.com"}],
        }
    ],
    "paymentagent_details": [{"paymentagent_details": 1}],
    "paymentagent_list": [{"paymentagent_list": "id", "currency": "USD"}],
    "paymentagent_transfer": [
        {
            "paymentagent_transfer": 1,
            "amount": 20,
            "currency": "USD",
            "transfer_to": "CR900002",
            "passthrough": {"idempotency_key": "mine"},
        }
    ],
    "paymentagent_withdraw": [
        {
            "paymentagent_withdraw": 1,
            "amount": 20,
            "currency": "USD",
            "paymentagent_loginid": "CR900002",
            "verification_code": "my_code_1",
        }
    ],
    "paymentagent_withdraw_justification": [
        {"paymentagent_withdraw_justification": 1, "message": "Cash only."}
    ],
    "payout_currencies": [{"payout_currencies": 1}],
    "ping": [{"ping": 1}],
    "portfolio": [{"portfolio": 1, "contract_type": ["CALL"]}],
    "profit_table": [{"profit_table": 1, "description": 1, "date_from": "2026-01-01"}],
    "proposal": [
        {
            "proposal": 1,
            "contract_type": "ONETOUCH",
            "symbol": "R_100",
            "currency": "USD",
            "amount": 10,
            "basis": "stake",
            "duration": 5,
            "duration_unit": "m",
            "barrier": "+1.5",
            "subscribe": 1,
        },
        {
            "proposal": 1,
            "contract_type": "MULTUP",
            "symbol": "R_50",
            "currency": "USD",
            "amount": 10,
            "basis": "stake",
            "multiplier": 80,
            "cancellation": "5m",
            "limit_order": {"take_profit": 5, "stop_loss": 5},
        },
        {
            "proposal": 1,
            "contract_type": "PUTE",
            "symbol": "R_50",
            "currency": "USD",
            "amount": 10,
            "basis": "payout",
            "date_start": 1767269400,
            "date_expiry": 1767270000,
        },
    ],
    "proposal_open_contract": [
        {"proposal_open_contract": 1, "subscribe": 1},
        {"proposal_open_contract": 1, "contract_id": 1},
    ],
    "reality_check": [{"reality_check": 1}],
    "residence_list": [{"residence_list": 1}, {"residence_list": 1, "query": ["text"]}],
    "revoke_access": [{"revoke_access": 1234}],
    "revoke_oauth_app": [{"revoke_oauth_app": 1234}],
    "sell": [{"sell": 1, "price": 0}],
    "sell_contract_for_multiple_accounts": [
        {
            "sell_contract_for_multiple_accounts": 1,
            "price": 0,
            "shortcode": "CALL_R_50_5_1767268800_1767268920_S0P_0",
            "tokens": ["abcdefgh"],
        }
    ],
    "sell_expired": [{"sell_expired": 1}],
    "set_account_currency": [{"set_account_currency": "USD"}],
    "set_financial_assessment": [
        {
            "set_financial_assessment": 1,
            "financial_information": {"occupation": "Managers"},
            "trading_experience": {"cfd_trading_experience": "1-2 years"},
        }
    ],
    "set_self_exclusion": [
        {"set_self_exclusion": 1, "max_losses": 100.5, "exclude_until": None},
        {"set_self_exclusion": 1, "exclude_until": "2026-12-01", "timeout_until": 1_767_355_200},
    ],
    "set_settings": [{"set_settings": 1, "first_name": "Ada", "feature_flag": {"wallet": 0}}],
    "sign_in": [{"sign_in": 1, "email": "ada@example.com", "password": "sesame"}],
    "sign_in_demo": [{"sign_in_demo": 1}],
    "sign_out": [{"sign_out": 1}],
    "states_list": [{"states_list": "au"}],
    "statement": [{"statement": 1, "limit": 100, "offset": 25, "description": 1}],
    "ticks": [{"ticks": "R_50", "subscribe": 1}, {"ticks": ["R_50", "R_100"]}],
    "ticks_batch": [{"ticks_batch": 1, "market": "forex", "subscribe": 1}],
    "ticks_history": [
        {"ticks_history": "R_50", "end": "latest", "count": 10, "style": "ticks"},
        {"ticks_history": "R_50", "end": 1767268800, "style": "candles", "granularity": 60},
    ],
    "time": [{"time": 1}],
    "tnc_approval": [{"tnc_approval": 1}],
    "token_list": [{"token_list": 1}],
    "topup_virtual": [{"topup_virtual": 1}],
    "trading_durations": [{"trading_durations": 1}],
    "trading_times": [{"trading_times": "2026-01-02"}],
    "transaction": [{"transaction": 1, "subscribe": 1}],
    "transfer_between_accounts": [
        {
            "transfer_between_accounts": 1,
            "account_from": "CR900001",
            "account_to": "CR900002",
            "amount": 0.5,
            "currency": "USD",
        },
        {"transfer_between_accounts": 1, "accounts": "all"},
    ],
    "verify_email": [
        {"verify_email": "ada@example.com", "type": "account_opening"},
        {
            "verify_email": "ada@example.com",
            "type": "payment_withdraw",
            "url_parameters": {"pa_amount": 1.5, "utm_source": "page"},
            "ad_platform_cookies": {"fbc": "x"},
        },
    ],
    "website_config": [{"website_config": 1}],
    "website_status": [{"website_status": 1, "subscribe": 1}],
}

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [
            0,
            -1,
            1.0,
            1e3,
            1e300,
            -0.0,
            2**53,
            2**63,
            2**64,
            10**30,
            "",
            " 1 ",
            "1_000",
            "1e3",
            "1",
            "-5",
            "0x1",
            "٣",
            "éé",
            "\x00",
            "‮",
            "a" * 5000,
            [],
            {},
            [[]],
            {"": 1},
            "NaN",
            "'; DROP TABLE tokens; --",
            "../../etc/passwd",
            "R_50",
            "CR1",
            "%s%n",
            "9" * 400,
        ]
    ),
    st.text(max_size=40),
    st.integers(),
    st.floats(),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=10,
    ),
)
ODD_KEYS = st.one_of(
    st.sampled_from(
        [
            "req_id",
            "passthrough",
            "loginid",
            "subscribe",
            "landing_company",
            "authorize",
            "buy",
            "tokens",
            "echo_req",
            "error",
            "msg_type",
            "",
            "a b",
            "x" * 51,
            "ключ",
            "__proto__",
        ]
    ),
    st.sampled_from(sorted(VALID)),
    st.text(max_size=10),
)


def as_json(value: Any) -> str:
    """JSON as a careless client writes it: NaN, Infinity and lone surrogates included."""
    return json.dumps(value, ensure_ascii=True, allow_nan=True)


@st.composite
def broken_messages(draw: st.DrawFn) -> str:
    """A valid message after one to three small accidents."""
    name = draw(st.sampled_from(sorted(VALID)))
    message = dict(draw(st.sampled_from(VALID[name])))
    for _ in range(draw(st.integers(0, 2))):
        accident = draw(st.sampled_from(["value", "drop", "add", "nest", "rename"]))
        if accident == "add" or not message:
            message[draw(ODD_KEYS)] = draw(ODD_VALUES)
            continue
        key = draw(st.sampled_from(sorted(message)))
        if accident == "value":
            message[key] = draw(ODD_VALUES)
        elif accident == "drop":
            del message[key]
        elif accident == "rename":
            message[draw(ODD_KEYS)] = message.pop(key)
        else:
            for _ in range(draw(st.sampled_from([1, 30, 31, 32, 33, 250]))):
                message[key] = draw(st.sampled_from([[message[key]], {"k": message[key]}]))
    text = as_json(message)
    accident = draw(st.sampled_from(["none", "none", "cut", "double", "insert", "repeat"]))
    place = draw(st.integers(0, len(text)))
    if accident == "cut":
        return text[:place]
    if accident == "double" and len(text) > 2:
        return text[:-1] + "," + text[1:]
    if accident == "insert":
        return (
            text[:place]
            + draw(st.sampled_from(["\\ud800", "[" * 1500, "\x00", '"', "}", "1", " ", "é"]))
            + (text[place:])
        )
    if accident == "repeat":
        return text * 2
    return text


TEXTS = st.one_of(
    broken_messages(),
    broken_messages(),
    broken_messages(),
    ODD_VALUES.map(as_json),
    st.text(max_size=200).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)),
)


House = tuple[asyncio.Runner, World, str]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A world that lives as long as the attack, and a token for it."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(testing.world()))
        yield runner, world, runner.run(world.token(loginid=world.real[0].loginid))
        runner.run(stack.aclose())


def replies_due(text: str) -> int:
    """One, save for `ticks` of several symbols: one for each that is another."""
    try:
        message = json.loads(text)
    except ValueError:
        return 1
    symbols = message.get("ticks") if isinstance(message, dict) else None
    return max(1, len(set(map(str, symbols)))) if isinstance(symbols, list) else 1


def strictly(text: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text.decode(), parse_constant=refuse)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(text=TEXTS, who=st.sampled_from(["stranger", "token", "owner"]))
def test_any_text_gets_exactly_one_reply(house: House, text: str, who: str) -> None:
    runner, world, token = house
    with structlog.testing.capture_logs() as logged:
        replies, closed = runner.run(conversation(world, text, who, token))
    assert closed is None
    assert [entry for entry in logged if entry["log_level"] == "error"] == []
    assert len(replies) in (1, replies_due(text)), replies
    for reply in replies:
        assert set(reply) >= {"echo_req", "msg_type"}
        if "error" in reply:
            assert reply["error"]["code"] != "InternalServerError", reply
            assert reply["error"]["message"]


async def conversation(world: World, text: str, who: str, token: str) -> tuple[list[Any], Any]:
    """The replies to a text that arrive before the reply to a ping sent right behind it."""
    client = Recording(await world.owner() if who == "owner" else world.connect())
    if who == "token":
        await client.authorize(token)
        client.raw.clear()
    client.send_text(text.encode())
    reply = await client.ask({"ping": 1, "req_id": 987654321})
    assert reply["ping"] == "pong"
    replies = [strictly(raw) for raw in client.raw[:-1]]
    client.leave()
    return replies, client.closed


class Recording:
    """A client in memory that keeps every text as it came."""

    def __init__(self, client: MemoryClient) -> None:
        self.raw: list[bytes] = []
        self._client = client
        arrived = self._client._connection.session.send

        def send(text: bytes) -> None:
            self.raw.append(text)
            arrived(text)

        self._client._connection.session.send = send

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


async def test_every_offered_call_is_attacked(world: World) -> None:
    assert sorted(VALID) == sorted(call.name for call in world.gateway.registry)


@pytest.mark.parametrize(
    ("text", "code", "echo"),
    [
        ("", "BadRequest", {}),
        ("[]", "BadRequest", {}),
        ('"ping"', "BadRequest", {}),
        ('{"ping":NaN}', "BadRequest", {}),
        ('{"ping":1e400}', "BadRequest", {}),
        ('{"ping":"\\ud800"}', "BadRequest", {}),
        ('{"ping":1} {"ping":1}', "BadRequest", {}),
        ('{"ping":' + "[" * 40 + "]" * 40 + "}", "BadRequest", {}),
        ('{"a b":1}', "SanityCheckFailed", {"a b": 1}),
        ('{"ping":1,"passthrough":{"":1}}', "SanityCheckFailed", None),
        ('{"ping":9007199254740992}', "SanityCheckFailed", {"ping": 9007199254740992}),
        ('{"ping":-9007199254740992}', "SanityCheckFailed", None),
        ('{"ping":"\\u0000"}', "SanityCheckFailed", None),
        ('{"' + "x" * 51 + '":1}', "SanityCheckFailed", None),
        ("{}", "UnrecognisedRequest", {}),
        ('{"pong":1}', "UnrecognisedRequest", {"pong": 1}),
    ],
)
async def test_each_wrong_thing_gets_its_error(
    world: World, text: str, code: str, echo: dict[str, Any] | None
) -> None:
    client = world.connect()
    client.send_text(text.encode())
    reply = await client.next()
    assert reply["error"]["code"] == code
    assert reply["msg_type"] == "error"
    if echo is not None:
        assert reply["echo_req"] == echo
    assert (await client.ask({"ping": 1}))["ping"] == "pong"


async def test_depth_32_passes_and_33_does_not(world: World) -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(depth - 1):
            value = {"k": value}
        return value

    client = world.connect()
    fits = {"ping": 1, "passthrough": nested(31)}
    assert (await client.ask(fits))["passthrough"] == fits["passthrough"]
    assert await client.refused({"ping": 1, "passthrough": nested(32)}) == "BadRequest"


async def test_a_valid_req_id_comes_back_on_every_error(world: World) -> None:
    client = world.connect()
    for request in (
        {"ping": 2},
        {"no_call": 1},
        {"a b": 1},
        {"balance": 1},
        {"ping": 1, "passthrough": 5},
        {
            "ping": 1,
            "passthrough": {
                "k": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
            },
        },
    ):
        reply = await client.ask({**request, "req_id": 41})
        assert reply["req_id"] == 41
        assert "error" in reply
    client.send_text(b'{"ping":1,"req_id":"x"}')
    reply = await client.next()
    assert reply["error"]["details"] == {"req_id": "Must be an integer."}
    assert "req_id" not in reply


async def test_the_last_of_duplicate_keys_wins(world: World) -> None:
    client = world.connect()
    client.send_text(b'{"ping":7,"ping":1}')
    reply = await client.next()
    assert reply["ping"] == "pong"
    assert reply["echo_req"] == {"ping": 1}


async def test_the_call_is_the_key_that_declares_the_others(world: World) -> None:
    client: Client = world.connect()
    reply = await client.ask({"landing_company": "svg", "active_symbols": "brief"})
    assert reply["msg_type"] == "active_symbols"
    assert "error" not in reply
    reply = await client.ask({"time": 1, "ping": 1})
    assert reply["msg_type"] == "time"
    assert reply["error"]["details"] == {"ping": "Unknown field."}
    reply = await client.ask({"landing_company": "id"})
    assert reply["msg_type"] == "landing_company"
    assert "error" not in reply
