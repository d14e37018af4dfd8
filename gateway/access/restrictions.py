"""Restrictions of tokens and of apps' authorizations: their rows.

Rules:
- Restrictions have parents: those of the token that created a token, or of its authorization. All
  of them hold together, so a token is never less restricted than its parent.
- A token without restrictions of its own has those of its parent.
- Restrictions that are set later hold for all tokens that were created with the token before.
- A change is announced, and live connections act on it.
- The gateway restricts networks, accounts and the rate of calls. A plugin that restricts more has a
  subclass of `RestrictionKinds`, and a service that is a function annotated to return
  `RestrictionKinds`.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from scopegate.gateway.calls.errors import ApiError, input_validation_failed
from scopegate.gateway.calls.registry import problems_of
from scopegate.schemas.restriction_messages import Restrictions
from scopegate.store.transactions import Announcement, Row, Snapshot, Transaction

RESTRICTED = "TokenRestricted"
"""The code of the error for what a token's restrictions forbid."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What the gateway itself enforces: the restrictions of a token with all their parents."""

    networks: tuple[tuple[str, ...], ...] = ()
    """Lists of networks, of which each must contain the client's address."""
    accounts: frozenset[str] | None = None
    """The accounts that the token reaches; `None` for all."""
    rates: tuple[tuple[int, int], ...] = ()
    """The ids of the restrictions that limit calls, each with the calls in a minute."""
    line: tuple[int, ...] = ()
    """The ids of all of them, their own first."""

    def admits(self, address: str) -> bool:
        """Whether a client at this address may use the token."""
        return all(_contains(networks, address) for networks in self.networks)

    def reaches(self, loginid: str) -> bool:
        """Whether the token may reach this account."""
        return self.accounts is None or loginid in self.accounts

    def to_json(self) -> dict[str, Any]:
        """Return it as an announcement has it."""
        accounts = None if self.accounts is None else sorted(self.accounts)
        return {
            "networks": self.networks,
            "accounts": accounts,
            "rates": self.rates,
            "line": self.line,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build it from what `to_json` returns."""
        return cls(
            tuple(map(tuple, data["networks"])),
            None if data["accounts"] is None else frozenset(data["accounts"]),
            tuple((number, rate) for number, rate in data["rates"]),
            tuple(data["line"]),
        )


UNRESTRICTED = InForce()


def _contains(networks: Iterable[str], address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a client without an address, such as one in memory
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network) for network in networks)


@dataclass(frozen=True, slots=True)
class RestrictionsChanged(Announcement):
    """Announces what tokens are restricted to from now on."""

    kind: ClassVar[str] = "restrictions_changed"
    tokens: Mapping[int, InForce] = field(default_factory=dict)
    """What is in force, by the id of the token."""

    def to_json(self) -> dict[str, Any]:
        """Return the tokens as pairs: the names in JSON are texts."""
        return {"tokens": [[number, each.to_json()] for number, each in self.tokens.items()]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build the announcement from what `to_json` returns."""
        return cls({number: InForce.from_json(each) for number, each in data["tokens"]})


class RestrictionKinds:
    """The restrictions that the tokens of a gateway can have; here those of the gateway itself."""

    model: type[Restrictions] = Restrictions
    """The fields of restrictions, by the names that clients use."""

    def checked(self, given: Mapping[str, Any], field_name: str = "restrictions") -> Restrictions:
        """Return restrictions as given. Raises `InputValidationFailed` if they are invalid."""
        try:
            return self.model.model_validate(dict(given))
        except ValidationError as invalid:
            problems = problems_of(invalid, given)
            raise input_validation_failed(
                {f"{field_name}.{name}": problem for name, problem in problems.items()}
            ) from None

    def stored(self, values: Mapping[str, Any]) -> Restrictions:
        """Return restrictions as they were set earlier.

        They may name something that there is no longer, such as a symbol of an earlier version.
        """
        return self.model.model_validate(dict(values))

    def put(
        self,
        transaction: Transaction,
        number: int,
        parent_id: int | None,
        loginids: Sequence[str],
        values: Restrictions,
    ) -> None:
        """Store what a plugin restricts, for the restrictions of this number.

        Called for all restrictions that are created or replaced. `loginids` are the account of the
        token, or those of the authorization. Raises `ApiError` if a value cannot be.
        """

    def moved_below(self, transaction: Transaction, numbers: Sequence[int], parent: int) -> None:
        """Note that these restrictions have this parent from now on."""

    def further(self, reader: Snapshot, number: int) -> dict[str, Any]:
        """Return what a plugin restricts, as `put` got it."""
        return {}

    def use(self, reader: Snapshot, number: int) -> dict[str, Any]:
        """Return what of the caps is used at present, by the names of their fields."""
        return {}

    def rotated(self, transaction: Transaction, before: int, after: int) -> None:
        """Note that one token takes the place of another: their ids."""


def _own(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if row["networks"]:
        found["networks"] = row["networks"].split()
    if row["accounts"] is not None:
        found["accounts"] = row["accounts"].split()
    if row["calls_per_minute"] is not None:
        found["calls_per_minute"] = row["calls_per_minute"]
    return found


def _line(reader: Snapshot, number: int | None) -> list[Row]:
    """Return the rows of restrictions and of all their parents, their own first."""
    found = []
    while number is not None:
        row = reader.single("SELECT * FROM restrictions WHERE id = ?", number)
        found.append(row)
        number = row["parent_id"]
    return found


def in_force(reader: Snapshot, number: int | None) -> InForce:
    """Return what the gateway enforces for these restrictions, with all their parents."""
    if number is None:
        return UNRESTRICTED
    networks, rates, line = [], [], []
    accounts: frozenset[str] | None = None
    for row in _line(reader, number):
        line.append(row["id"])
        own = _own(row)
        if "networks" in own:
            networks.append(tuple(own["networks"]))
        if "accounts" in own:
            reached = frozenset(own["accounts"])
            accounts = reached if accounts is None else accounts & reached
        if "calls_per_minute" in own:
            rates.append((row["id"], own["calls_per_minute"]))
    return InForce(tuple(networks), accounts, tuple(rates), tuple(line))


@dataclass(frozen=True, slots=True)
class RestrictionSet:
    """Restrictions, whose they are, and what is used."""

    number: int
    token_id: int | None
    link_id: int | None
    values: dict[str, Any]
    use: dict[str, Any]


def all_in_force(
    reader: Snapshot, kinds: RestrictionKinds, number: int | None
) -> list[RestrictionSet]:
    """Return these restrictions and those of their parents, as they were set, their own first."""
    return [
        RestrictionSet(
            row["id"],
            row["token_id"],
            row["link_id"],
            _own(row) | kinds.further(reader, row["id"]),
            kinds.use(reader, row["id"]),
        )
        for row in _line(reader, number)
    ]


def own(
    reader: Snapshot, kinds: RestrictionKinds, number: int | None, token_id: int
) -> dict[str, Any]:
    """Return the restrictions of a token without its parents'; empty if it has none itself."""
    if number is None:
        return {}
    row = reader.single("SELECT * FROM restrictions WHERE id = ?", number)
    return _own(row) | kinds.further(reader, number) if row["token_id"] == token_id else {}


@dataclass(frozen=True, slots=True)
class Owner:
    """The token or the authorization that restrictions are set for: one of them is not `None`."""

    loginids: Sequence[str]
    """The account of the token, or those of the authorization."""
    token_id: int | None = None
    link_id: int | None = None


def create(
    transaction: Transaction,
    kinds: RestrictionKinds,
    owner: Owner,
    parent_id: int | None,
    values: Restrictions,
) -> int:
    """Store new restrictions below those of `parent_id`; return their number."""
    number = transaction.insert(
        "INSERT INTO restrictions (parent_id, token_id, link_id) VALUES (?, ?, ?)",
        parent_id,
        owner.token_id,
        owner.link_id,
    )
    _put(transaction, kinds, number, parent_id, owner.loginids, values)
    return number


def _put(
    transaction: Transaction,
    kinds: RestrictionKinds,
    number: int,
    parent_id: int | None,
    loginids: Sequence[str],
    values: Restrictions,
) -> None:
    transaction.execute(
        "UPDATE restrictions SET networks = ?, accounts = ?, calls_per_minute = ? WHERE id = ?",
        " ".join(values.networks or ()),
        None if values.accounts is None else " ".join(sorted(values.accounts)),
        values.calls_per_minute,
        number,
    )
    kinds.put(transaction, number, parent_id, loginids, values)


def restrict(
    transaction: Transaction,
    kinds: RestrictionKinds,
    owner: Owner,
    present: int | None,
    family: Sequence[int],
    values: Restrictions,
    *,
    may_loosen: bool,
) -> int:
    """Replace the restrictions of a token or an authorization; return their number.

    `present` are those that it has, perhaps from its parent. `family` are the ids of the tokens
    that get the new ones too, where they have the present ones: the token itself, or those of the
    authorization, and all that were created with them.

    Raises `TokenRestricted` if something would become less strict, unless `may_loosen`.
    """
    row = None
    if present is not None:
        row = transaction.single("SELECT * FROM restrictions WHERE id = ?", present)
    if row is not None and (row["token_id"], row["link_id"]) == (owner.token_id, owner.link_id):
        number: int = row["id"]
        if not may_loosen:
            before = kinds.stored(_own(row) | kinds.further(transaction, number))
            _refuse_looser(values.looser_than(before))
        _put(transaction, kinds, number, row["parent_id"], owner.loginids, values)
    else:
        number = create(transaction, kinds, owner, present, values)
        _move_below(transaction, kinds, family, present, number)
    transaction.announce(
        RestrictionsChanged(
            {
                token_id: in_force(transaction, restrictions_id)
                for token_id, restrictions_id in _restrictions_of(transaction, family)
            }
        )
    )
    return number


def _refuse_looser(names: Sequence[str]) -> None:
    if names:
        raise ApiError(
            RESTRICTED,
            "With a token, restrictions can only be made stricter. Sign in at the gateway's pages"
            " to make them less strict.",
            dict.fromkeys((f"restrictions.{name}" for name in names), "Less strict than before."),
        )


def _restrictions_of(reader: Snapshot, token_ids: Iterable[int]) -> list[tuple[int, int | None]]:
    return [
        (number, reader.single("SELECT restrictions_id FROM tokens WHERE id = ?", number)[0])
        for number in token_ids
    ]


def _move_below(
    transaction: Transaction,
    kinds: RestrictionKinds,
    family: Sequence[int],
    present: int | None,
    number: int,
) -> None:
    """Let tokens that have the present restrictions, and those below them, get the new ones."""
    moved: list[int] = []
    for token_id, held in _restrictions_of(transaction, family):
        if held == present:
            transaction.execute(
                "UPDATE tokens SET restrictions_id = ? WHERE id = ?", number, token_id
            )
        elif held is not None:
            below = transaction.single("SELECT id, parent_id FROM restrictions WHERE id = ?", held)
            if below["parent_id"] == present and held not in (number, *moved):
                moved.append(held)
    for held in moved:
        transaction.execute("UPDATE restrictions SET parent_id = ? WHERE id = ?", number, held)
    if moved:
        kinds.moved_below(transaction, moved, number)


def move(transaction: Transaction, before: int, after: int) -> None:
    """Let the restrictions of one token be those of another, which takes its place."""
    transaction.execute("UPDATE restrictions SET token_id = ? WHERE token_id = ?", after, before)
