"""Every setting of the gateway: an option of `serve`, an environment variable, a line of a file.

Rules: an option wins over an environment variable (`SCOPEGATE_PORT`), that over the settings file
(`port = 5555` in `scopegate.toml`, or in the file that `SCOPEGATE_SETTINGS` names). A description
here is the text of `--help` and of the documentation.
"""

import contextlib
import ipaddress
import json
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import structlog
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from scopegate.exchange.rules import Margins
from scopegate.gateway.access.mail import MailServer, Security
from scopegate.gateway.access.users import RESIDENCE
from scopegate.gateway.calls.hosts import Hosts, is_loopback, name_of
from scopegate.gateway.calls.limits import HTTP_PER_MINUTE, PING_AFTER, PROFILES, Allowance, Profile

PREFIX = "SCOPEGATE_"
_MARGIN = "margin_"
DEFAULT_FILE = "scopegate.toml"

log = structlog.get_logger("scopegate.settings")


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what it may be."""


class Settings(BaseSettings):
    """How a gateway runs."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    from_surroundings: ClassVar[bool] = True
    """Whether the environment and the settings file count."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(5555, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    db: Path = Field(Path("scopegate.db"), description="Database file, made when missing.")
    seed: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Seed of the market, kept with a new database; random when not given.",
    )
    start: str | None = Field(
        None,
        description="Market time at which a new database begins: epoch seconds or ISO 8601"
        " (UTC). Without it the market keeps real time.",
    )
    speed: float = Field(
        1.0, gt=0, le=100_000, description="Market seconds that pass in a real second."
    )
    tls_cert: Path | None = Field(None, description="TLS certificate chain, PEM.")
    tls_key: Path | None = Field(None, description="TLS private key, PEM.")
    tls_self_signed: bool = Field(
        False,
        description="Serve TLS with a certificate of a local authority. Its own certificate is kept"
        " beside the database, for clients to trust.",
    )
    limits: Literal["open", "deriv"] | None = Field(
        None,
        description="Rate limits: open (a million calls a minute) or deriv (the published ones);"
        " open on loopback and deriv elsewhere when not given.",
    )
    trusted_proxy: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Network (CIDR) whose X-Forwarded-For is believed."
    )
    allowed_host: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Name by which clients reach the gateway, such as trade.example.com; others"
        " than these, loopback names and the address it listens on are refused.",
    )
    handlers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Module with calls of your own to offer as well."
    )
    without: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Plugin to leave out: exchange, for a gateway without the paper exchange."
    )
    omit_call: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Call to leave out. A module of yours may then offer another of that name.",
    )
    any_app_id: bool = Field(
        False,
        description="Accept every app_id: an unknown one counts as app 1089.",
    )
    residence: str = Field(
        RESIDENCE,
        pattern=r"^[a-z]{2}$",
        description="Two-letter code of the country of users who were created without one, and of"
        " visitors in website_status.",
    )
    demo: bool = Field(False, description="Make the demo user on an empty database on any host.")
    compression: bool = Field(
        False,
        description="Accept permessage-deflate: less traffic for 20 times the memory a connection.",
    )
    ping_after: float = Field(
        PING_AFTER,
        ge=1,
        le=100,
        description="Seconds of silence after which a client is pinged. Keep it well below the"
        " timeout of a proxy in between.",
    )
    messages_per_minute: int | None = Field(
        None,
        ge=1,
        description="Messages of any kind, in a minute; one of 2 KiB or more counts several times.",
    )
    messages_per_hour: int | None = Field(
        None, ge=1, description="Messages of any kind, in an hour."
    )
    general_per_minute: int | None = Field(None, ge=1, description="Any call, in a minute.")
    general_per_hour: int | None = Field(None, ge=1, description="Any call, in an hour.")
    outcome_per_minute: int | None = Field(None, ge=1, description="Outcome calls, in a minute.")
    outcome_per_hour: int | None = Field(None, ge=1, description="Outcome calls, in an hour.")
    pricing_per_minute: int | None = Field(None, ge=1, description="Pricing calls, in a minute.")
    pricing_per_hour: int | None = Field(None, ge=1, description="Pricing calls, in an hour.")
    http_per_minute: int | None = Field(
        None,
        ge=1,
        description="HTTP requests from an address block (IPv4 address, IPv6 /64) in a minute; 600"
        " with the limits deriv, a million with open when not given.",
    )
    refusals_in_a_row: int | None = Field(
        None,
        ge=1,
        description="Number of refusals by a rate limit in a row that closes a connection.",
    )
    connections_per_address: int | None = Field(
        None, ge=1, description="Connections from one address (IPv4 address, IPv6 /64)."
    )
    connections_per_user: int | None = Field(
        None, ge=1, description="Connections that are signed in as one user."
    )
    proposal_streams: int | None = Field(
        None, ge=1, description="Proposal streams that one connection may have."
    )
    proposal_streams_per_client: int | None = Field(
        None,
        ge=1,
        description="Proposal streams of one user, or of one address before sign-in.",
    )
    streams: int | None = Field(
        None, ge=1, description="Streams of all kinds that one connection may have."
    )
    streams_per_client: int | None = Field(
        None,
        ge=1,
        description="Streams of all kinds of one user, or of one address before sign-in.",
    )
    stream_bytes: int | None = Field(
        None,
        ge=1024,
        description="Bytes of the streams of one connection: the parts of a request that each"
        " message repeats.",
    )
    stream_bytes_per_client: int | None = Field(
        None,
        ge=1024,
        description="Bytes of the streams of one user, or of one address before sign-in.",
    )

    smtp_host: str | None = Field(
        None,
        description="Mail server for the letters that hold codes; without one they are written"
        " into the log, for developing, where only this machine can connect.",
    )
    log_letters: bool = Field(
        False,
        description="Without a mail server, write letters and their codes into the log even if"
        " others can connect. Anyone who reads the log can use every code.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Security = Field(
        "starttls",
        description="How the mail server is reached: starttls, tls (from the first byte, usually on"
        " port 465) or none.",
    )
    smtp_user: str | None = Field(None, description="User name at the mail server.")
    smtp_password: SecretStr | None = Field(None, description="Password at the mail server.")
    smtp_from: str | None = Field(
        None,
        pattern=r"^[^\s@<>]+@[^\s@<>]+$",
        description="Address that letters come from; needed with a mail server.",
    )

    margin: Margins = Margins()
    """Each is named as if it were a setting here: `margin_touch`, `SCOPEGATE_MARGIN_TOUCH`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, then the environment, then the file."""
        return (
            _Options(settings_cls, init_settings()),
            env_settings,
            _File(settings_cls, toml_file=_file()),
        )

    @classmethod
    def fields_by_name(cls) -> dict[str, FieldInfo]:
        """Every setting by the name of its option, in order; of `margin` each of its margins."""
        named: dict[str, FieldInfo] = {}
        for name, field in cls.model_fields.items():
            if name == "margin":
                margins = Margins.model_fields.items()
                named |= {f"{_MARGIN}{name}": margin for name, margin in margins}
            else:
                named[name] = field
        return named

    @field_validator(
        "trusted_proxy", "allowed_host", "handlers", "without", "omit_call", mode="before"
    )
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("trusted_proxy")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("allowed_host")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not name_of(name):
                raise ValueError(f"{name!r} is no host name")
        return tuple(map(name_of, value))

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.tls_cert is not None and self.tls_self_signed:
            raise ValueError("give a certificate or tls_self_signed, not both")
        return self

    @model_validator(mode="after")
    def _mail_is_whole(self) -> "Settings":
        if (self.smtp_host is None) != (self.smtp_from is None):
            raise ValueError("smtp_host and smtp_from go together")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("smtp_user and smtp_password go together")
        if self.smtp_user is not None and self.smtp_host is None:
            raise ValueError("smtp_user is of no use without smtp_host")
        if (
            self.smtp_user is not None
            and self.smtp_security == "none"
            and not is_loopback(self.smtp_host or "")
        ):
            raise ValueError("smtp_security: a password is not sent in the clear; use starttls")
        return self

    def refuse_market(self) -> None:
        """Raise `SettingsError` for a setting that is of no use without the exchange."""
        for name, field in type(self).fields_by_name().items():
            if name.startswith(_MARGIN):
                value = getattr(self.margin, name.removeprefix(_MARGIN))
            elif name in ("seed", "start", "speed"):
                value = getattr(self, name)
            else:
                continue
            if value != field.default:
                raise SettingsError(f"{name}: there is no market without the exchange")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def demo_at_pages(self) -> bool:
        """Whether whoever opens a page at this machine may be the demo user without a password.

        Not behind a trusted proxy; and where further names are allowed, by which others may come
        here through one, only if a demo user was asked for.
        """
        return self.on_loopback and not self.trusted_proxy and (self.demo or not self.allowed_host)

    @property
    def letters_in_log(self) -> bool:
        """Whether letters are written into the log if there is no mail server.

        Where others can come, directly or through a proxy, that has to be asked for.
        """
        for_this_machine = self.on_loopback and not (self.trusted_proxy or self.allowed_host)
        return self.log_letters or for_this_machine

    def hosts(self) -> Hosts:
        """The names under which the gateway answers."""
        return Hosts([*self.allowed_host, self.host])

    def mail_server(self) -> MailServer | None:
        """Where letters are handed in; `None` where they are written into the log."""
        if self.smtp_host is None or self.smtp_from is None:
            return None
        return MailServer(
            self.smtp_host,
            self.smtp_port,
            self.smtp_security,
            sender=self.smtp_from,
            user=self.smtp_user or "",
            password=self.smtp_password.get_secret_value() if self.smtp_password else "",
        )

    @property
    def _limits(self) -> Literal["open", "deriv"]:
        return self.limits or ("open" if self.on_loopback else "deriv")

    def requests(self) -> int:
        """HTTP requests that an address block may make in a minute."""
        return self.http_per_minute or HTTP_PER_MINUTE[self._limits]

    def profile(self) -> Profile:
        """The limits in force: a profile, with the numbers that are set one by one."""
        base = PROFILES[self._limits]

        def allowance(default: Allowance, minutely: int | None, hourly: int | None) -> Allowance:
            return Allowance(minutely or default.minutely, hourly or default.hourly)

        numbers: dict[str, int] = {
            name: getattr(self, name) or getattr(base, name)
            for name in (
                "refusals_in_a_row",
                "connections_per_address",
                "connections_per_user",
                "proposal_streams",
                "proposal_streams_per_client",
                "streams",
                "streams_per_client",
                "stream_bytes",
                "stream_bytes_per_client",
            )
        }
        return Profile(
            messages=allowance(base.messages, self.messages_per_minute, self.messages_per_hour),
            general=allowance(base.general, self.general_per_minute, self.general_per_hour),
            outcome=allowance(base.outcome, self.outcome_per_minute, self.outcome_per_hour),
            pricing=allowance(base.pricing, self.pricing_per_minute, self.pricing_per_hour),
            **numbers,
        )


def load(defaults: Mapping[str, Any] | None = None, **options: Any) -> Settings:
    """The settings, from these options, the environment, the file and, last, `defaults`.

    Raises `SettingsError`.
    """
    named = os.environ.get(PREFIX + "SETTINGS")
    if named is not None and not Path(named).is_file():
        raise SettingsError(f"SCOPEGATE_SETTINGS names {named}, which is no file")
    kind: type[Settings] = Settings
    if defaults:
        kind = type("Settings", (_WithDefaults,), {"defaults": dict(defaults)})
    try:
        return _valid(kind, options)
    except ValueError as unreadable:
        raise SettingsError(f"the settings file cannot be read: {unreadable}") from unreadable


class _WithDefaults(Settings):
    """Settings with defaults of a program, which everything else wins over."""

    defaults: ClassVar[dict[str, Any]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *sources: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Those of every start, and the defaults last."""
        usual = super().settings_customise_sources(settings_cls, *sources, **named)
        return (*usual, _Options(settings_cls, cls.defaults))


def _file() -> str:
    return os.environ.get(PREFIX + "SETTINGS", DEFAULT_FILE)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """These settings with each `margin_touch` as the `touch` of `margin`."""
    nested = {name: value for name, value in values.items() if not name.startswith(_MARGIN)}
    margins = {
        name.removeprefix(_MARGIN): value
        for name, value in values.items()
        if name.startswith(_MARGIN)
    }
    return nested | ({"margin": margins} if margins else {})


class _Options(InitSettingsSource):
    """Settings that a program or the command line gives."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls, _nested(values))


class _File(TomlConfigSettingsSource):
    """The settings file, without the tables of plugins."""

    def __call__(self) -> dict[str, Any]:
        values = super().__call__().items()
        return _nested({name: value for name, value in values if type(value) is not dict})


def warn_of_tables(plugins: Collection[str]) -> None:
    """Log each table of the settings file that is of none of these plugins.

    It may be of a plugin that another gateway has, or be misspelt.
    """
    for name, value in _tables().items():
        if type(value) is dict and name not in plugins:
            log.warning("no plugin here has these settings", table=f"[{name}]", file=_file())


def _tables() -> dict[str, Any]:
    try:
        return tomllib.loads(Path(_file()).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"the settings file cannot be read: {unreadable}") from unreadable


ModelT = TypeVar("ModelT", bound=BaseModel)


def _structured(text: str) -> Any:
    """The value of a variable: a list or an object, if it is one in JSON, else the text itself."""
    if text[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text


def plugin_settings(
    name: str, model: type[ModelT], options: Mapping[str, Any], *, from_surroundings: bool
) -> ModelT:
    """The settings of a plugin: its variables, its table in the file and, last, `options`.

    Variables are `SCOPEGATE_<NAME>_<FIELD>`. Without `from_surroundings` the options alone count.
    Raises `SettingsError`.
    """
    values = dict(options)
    if from_surroundings:
        table = _tables().get(name, {})
        values |= table if type(table) is dict else {}
        for field in model.model_fields:
            variable = f"{PREFIX}{name}_{field}".upper()
            if variable in os.environ:
                values[field] = _structured(os.environ[variable])
    unknown = values.keys() - model.model_fields.keys()
    if unknown:
        raise SettingsError(f"{name}.{min(unknown)}: there is no such setting")
    try:
        return model.model_validate(values)
    except ValidationError as invalid:
        problems = "; ".join(f"{name}.{problem}" for problem in _problems(invalid))
        raise SettingsError(
            f"{problems} (set it with {PREFIX}{name.upper()}_… or [{name}] in {_file()})"
        ) from invalid


class _Chosen(Settings):
    from_surroundings = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_Options(settings_cls, init_settings()),)


def chosen(**options: Any) -> Settings:
    """The settings that these options alone make, on any machine. Raises `SettingsError`."""
    return _valid(_Chosen, options)


def _valid(kind: type[Settings], options: dict[str, Any]) -> Settings:
    try:
        return kind(**options)
    except ValidationError as invalid:
        raise SettingsError("; ".join(_problems(invalid))) from invalid


def _problems(invalid: ValidationError) -> Iterator[str]:
    for error in invalid.errors(include_url=False, include_context=False, include_input=False):
        first, *rest = error["loc"] or ("",)
        if first == "margin" and rest:
            first, *rest = f"{_MARGIN}{rest[0]}", *rest[1:]
        name = ".".join(map(str, (first, *rest)))
        if error["type"] == "extra_forbidden":
            yield f"{name}: there is no such setting"
        else:
            text = error["msg"].removeprefix("Value error, ")
            yield f"{name}: {text}" if name else text
