"""The jobs of trades are portable: what is pickled on the way changes nothing."""

import pickle
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings

from scopegate.exchange import ledger
from scopegate.exchange.book import ContractChanged, Purchase, PurchaseKey
from scopegate.exchange.contracts import quoting
from scopegate.exchange.contracts.catalogue import TYPES
from scopegate.exchange.contracts.common.contract_type import replay
from scopegate.exchange.contracts.common.quote_request import QuoteRequest
from scopegate.exchange.contracts.common.refusals import Refusal
from scopegate.exchange.contracts.common.state import Outcome, Status, begin, latest
from scopegate.exchange.copying import Copies
from scopegate.exchange.rules import Margins
from scopegate.exchange.trades import Buying, Closing, Settling
from scopegate.gateway.access import token_management, tokens, users
from scopegate.gateway.access.guard import TokenCheck
from scopegate.gateway.calls import token_form
from scopegate.gateway.calls.errors import ApiError, authorization_required
from scopegate.handlers.exchange.trading_restrictions import TradingRestrictionKinds
from scopegate.runtime.clock import HandClock
from scopegate.store.migrating import migrate
from scopegate.store.postgresql_connection import PostgresqlConnection
from scopegate.store.sqlite_connection import connect
from scopegate.store.transactions import Job, T, Transaction
from tests import postgresql
from tests.exchange.test_replay import FEED, NOON, wishes


def carried(value: T) -> T:
    """The value as it arrives in another process."""
    copy: T = pickle.loads(pickle.dumps(value))
    return copy


class There:
    """A process that runs jobs, as far as these can tell: everything is pickled on the way."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __call__(self, job: Job[T]) -> T:
        """Run a job there; its result and its announcements come back."""
        before = len(self._transaction.changes)
        result = carried(carried(job)(self._transaction))
        for change in self._transaction.changes[before:]:
            if isinstance(change, ContractChanged):  # its row stays there
                assert carried(change).contract == change.contract
            else:
                assert carried(change) == change
        return result


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trades") / "test.db"
    with closing(connect(path)) as connection:
        migrate(connection)
        user_id = users.create(Transaction(connection), "ada@example.com")
        ledger.open_with_balance(Transaction(connection), user_id, virtual=[True], at=NOON)
    return path


@pytest.mark.lengthy
@settings(max_examples=200)
@given(wishes())
def test_a_trade_elsewhere_is_the_trade_here(database: Path, request: QuoteRequest) -> None:
    """A contract of any type that is bought, and then settled or sold."""
    try:
        quote = quoting.make_quote(request, FEED, NOON, Margins())
    except Refusal:
        return
    with closing(connect(database)) as connection:
        connection.execute("BEGIN")  # closing it undoes everything
        transaction = Transaction(connection)
        there = There(transaction)
        [account] = ledger.accounts(transaction)
        token = tokens.create(transaction, tokens.NewToken(account.loginid, "Bot", ["trade"]))
        found = tokens.find(transaction, token_form.digest(token))
        assert found is not None
        guard, copies = TokenCheck(found.id), Copies(tokens.find_valid)
        key = PurchaseKey("order-1", request.digest(), None)
        purchase = Purchase(quote=quote, loginid=account.loginid, app_id=None, at=NOON, key=key)
        assert carried(purchase) == purchase
        bought = there(Buying(guard, purchase, copies)).contract
        again = there(Buying(guard, purchase, copies))
        assert (again.contract, again.bought_under) == (bought, key)
        assert bought.terms == quote.terms
        kind = TYPES[bought.terms.contract_type]
        state = replay(kind, bought.terms, begin(bought.terms, FEED), FEED, NOON + 1_000)
        if state.outcome is None:
            outcome = Outcome(Status.SOLD, latest(FEED, bought.terms.symbol, NOON + 1_000), 7)
            closed = there(
                Closing(
                    guard=guard,
                    held=bought,
                    outcome=outcome,
                    at=NOON + 1_000,
                    app_id=None,
                    copies=copies,
                    ends=[],
                )
            )
        else:
            outcome = state.outcome
            closed = there(Settling(bought, outcome))
        assert closed is not None
        assert (closed.contract.status, closed.contract.sold_for) == (outcome.status, outcome.pays)
        tokens.end(transaction, [found.id])
        with pytest.raises(ApiError, match="AuthorizationRequired"):
            there(Buying(guard, purchase, copies))


def test_a_restricted_trade_takes_one_more_statement(tmp_path: Path) -> None:
    """One more to buy, and one when it ends; an unrestricted one takes no more."""

    def statements(*, restricted: bool) -> tuple[int, int]:
        seen: list[str] = []
        with closing(connect(tmp_path / f"{restricted}.db")) as connection:
            migrate(connection)
            transaction = Transaction(connection)
            buying = restricted_trader(transaction, restricted=restricted)
            connection.set_trace_callback(seen.append)
            contract = buying(transaction).contract
            bought = len(seen)
            assert any("UPDATE caps" in each for each in seen) == restricted
            tick = latest(FEED, contract.terms.symbol, NOON + 300)
            Settling(contract, Outcome(Status.WON, tick, 7))(transaction)
        return bought, len(seen) - bought

    bought, settled = statements(restricted=False)
    assert statements(restricted=True) == (bought + 1, settled + 1)


def test_a_purchase_reads_no_contract_that_has_ended(tmp_path: Path) -> None:
    """Otherwise each purchase would take longer than the one before."""
    seen: list[str] = []
    with closing(connect(tmp_path / "test.db")) as connection:
        migrate(connection)
        transaction = Transaction(connection)
        buying = restricted_trader(transaction, restricted=True)
        connection.set_trace_callback(seen.append)
        buying(transaction)
        connection.set_trace_callback(None)
        plans = [
            row["detail"]
            for each in seen
            if each.startswith("SELECT")
            for row in transaction.all(f"EXPLAIN QUERY PLAN {each}")
            if "contracts" in row["detail"]
        ]
    assert plans == [
        "SEARCH contracts USING COVERING INDEX open_contracts (loginid=? AND status=?)"
    ]


def restricted_trader(transaction: Transaction, *, restricted: bool) -> Buying:
    """A purchase by a user's token that has caps, or has none."""
    kinds = TradingRestrictionKinds(HandClock(NOON))
    user_id = users.create(transaction, "ada@example.com")
    ledger.open_with_balance(transaction, user_id, virtual=[True], at=NOON)
    [account] = ledger.accounts(transaction)
    text = token_management.create_restricted(
        transaction,
        kinds,
        tokens.NewToken(account.loginid, "Bot", ["trade"]),
        kinds.checked({"max_stake": 10, "max_loss_per_day": 100} if restricted else {}),
    )
    found = tokens.find(transaction, token_form.digest(text))
    assert found is not None
    request = QuoteRequest(
        contract_type="CALL",
        symbol="R_100",
        currency="USD",
        amount=Decimal(10),
        basis="stake",
        duration=5,
        duration_unit="m",
    )
    quote = quoting.make_quote(request, FEED, NOON, Margins())
    purchase = Purchase(quote=quote, loginid=account.loginid, app_id=None, at=NOON)
    return Buying(TokenCheck(found.id), purchase, Copies(tokens.find_valid))


@pytest.mark.parametrize(("restricted", "waits"), [(False, (6, 4)), (True, (6, 4))])
@pytest.mark.skipif(bool(postgresql.missing()), reason=postgresql.missing())
def test_a_trade_waits_for_few_answers_of_a_server(
    monkeypatch: pytest.MonkeyPatch, restricted: bool, waits: tuple[int, int]
) -> None:
    """Meanwhile no other gateway writes, so each one counts."""
    answers: list[object] = []
    wait = PostgresqlConnection._round_trip

    @contextmanager
    def counted(self: PostgresqlConnection) -> Iterator[None]:
        answers.append(self)
        with wait(self):
            yield

    monkeypatch.setattr(PostgresqlConnection, "_round_trip", counted)
    server = postgresql.new_database()
    with closing(PostgresqlConnection(server.url, allow_unsafe=True)) as connection:
        transaction = Transaction(connection)
        buying = restricted_trader(transaction, restricted=restricted)
        counts = []
        for _ in range(2):  # first of all, statements are prepared
            with connection.writing():
                answers.clear()
                contract = buying(transaction).contract
                connection.flush()
                bought = len(answers)
                tick = latest(FEED, contract.terms.symbol, NOON + 300)
                Settling(contract, Outcome(Status.WON, tick, 7))(transaction)
                connection.flush()
                counts.append((bought, len(answers) - bought))
        assert counts[1] == waits


def test_what_trades_raise_keeps_its_fields_on_the_way() -> None:
    refused = Refusal("PriceMoved", "It costs more.", {"price": "More."}, names_field=False)
    for problem in (refused, authorization_required()):
        assert vars(carried(problem)) == vars(problem)
        assert carried(problem).args == problem.args
