"""Every setting of the gateway: an option of `serve`, an environment variable, a line of a file.

Rules: an option wins over an environment variable (`SCOPEGATE_PORT`), and a variable over the
settings file (`port = 5555` in `scopegate.toml`, or in the file that `SCOPEGATE_SETTINGS` names).
The descriptions here are the text of `--help` and of the documentation.
"""

import contextlib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import structlog
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
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
from scopegate.store.location import Location, parsed

PREFIX = "SCOPEGATE_"
_MARGIN = "margin_"
DEFAULT_FILE = "scopegate.toml"
_TOKEN = re.compile(r"[!-~]{16,1000}")

log = structlog.get_logger("scopegate.settings")


class SettingsError(Exception):
    """A setting is wrong; the text names it and says what is allowed."""


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


_Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""A list, in a variable or an option as one text with commas."""


class Settings(BaseSettings):
    """The settings of a gateway."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    from_surroundings: ClassVar[bool] = True
    """Whether the environment and the settings file are read."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(5555, ge=0, le=65535, description="Port to listen on; 0 for a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Worker processes that serve the port together, on Linux. More than there are"
        " processors does not help.",
    )
    db: Path = Field(Path("scopegate.db"), description="Database file; created if missing.")
    store: str | None = Field(
        None,
        description="Database, instead of db: sqlite:FILE, or postgresql://HOST/DATABASE without a"
        " password (libpq takes it from PGPASSWORD or a password file).",
    )
    store_unsafe: bool = Field(
        False,
        description="Accept a PostgreSQL server with fsync or full_page_writes off, which may lose"
        " acknowledged trades when its machine fails.",
    )
    seed: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Seed of the market, stored with a new database. By default random.",
    )
    start: str | None = Field(
        None,
        description="Market time at which a new database begins: epoch seconds or ISO 8601"
        " (UTC). By default the market runs in real time, or begins now if speed is not 1.",
    )
    speed: float = Field(1.0, gt=0, le=100_000, description="Market seconds per real second.")
    tls_cert: Path | None = Field(
        None, description="TLS certificate chain (PEM file). SIGHUP loads it again."
    )
    tls_key: Path | None = Field(
        None, description="TLS private key (PEM file, not encrypted). SIGHUP loads it again."
    )
    tls_self_signed: bool = Field(
        False,
        description="Serve TLS with a certificate from a local certificate authority, whose own"
        " certificate is stored next to the database, for clients to trust.",
    )
    limits: Literal["open", "deriv"] | None = Field(
        None,
        description="Rate limits: open (a million calls a minute) or deriv (those of the published"
        " API). By default open on loopback and deriv elsewhere. Settings below change single"
        " limits.",
    )
    trusted_proxy: _Texts = Field(
        (), description="Network (CIDR) of a proxy whose X-Forwarded-For header is trusted."
    )
    allowed_host: _Texts = Field(
        (),
        description="Host name that clients use for the gateway, such as trade.example.com. By"
        " default only loopback names and the address it listens on are accepted.",
    )
    handlers: _Texts = Field((), description="Module with your own calls, offered as well.")
    without: _Texts = Field(
        (), description="Plugin to leave out: exchange, for a gateway without the paper exchange."
    )
    omit_call: _Texts = Field(
        (),
        description="Call to leave out. Your own module can then offer another call of that name.",
    )
    any_app_id: bool = Field(
        False,
        description="Accept every app_id. An unknown one counts as app 1089.",
    )
    residence: str = Field(
        RESIDENCE,
        pattern=r"^[a-z]{2}$",
        description="Two-letter country code, for users who were created without a country and for"
        " all clients in website_status.",
    )
    demo: bool = Field(
        False,
        description="Create the demo user in an empty database even if others can connect. By"
        " default only on loopback, without trusted_proxy and allowed_host.",
    )
    allow_faults: bool = Field(
        False,
        description="Let owners ask for faults of their own connections, to test bots, even if"
        " others can connect.",
    )
    fault: _Texts = Field(
        (),
        description="Fault of all connections, to test bots, such as `drop after=buy`, or of those"
        " of one app, such as `drop after=buy app=1089`. `scopegate fault kinds` lists them.",
    )
    compression: bool = Field(
        False,
        description="Accept compression (permessage-deflate): less traffic, but 20 times the memory"
        " per connection.",
    )
    ping_after: float = Field(
        PING_AFTER,
        ge=1,
        le=100,
        description="Ping a client after this many seconds of silence. Keep it well below the"
        " timeout of a proxy in between.",
    )
    messages_per_minute: int | None = Field(
        None,
        ge=1,
        description="Messages of any kind in a minute. One of 2 KiB or more counts several times.",
    )
    messages_per_hour: int | None = Field(
        None, ge=1, description="Messages of any kind in an hour."
    )
    general_per_minute: int | None = Field(
        None, ge=1, description="Calls other than outcome and pricing calls, in a minute."
    )
    general_per_hour: int | None = Field(
        None, ge=1, description="Calls other than outcome and pricing calls, in an hour."
    )
    outcome_per_minute: int | None = Field(
        None, ge=1, description="Outcome calls (such as statement) in a minute."
    )
    outcome_per_hour: int | None = Field(None, ge=1, description="Outcome calls in an hour.")
    pricing_per_minute: int | None = Field(
        None, ge=1, description="Pricing calls (such as proposal) in a minute."
    )
    pricing_per_hour: int | None = Field(None, ge=1, description="Pricing calls in an hour.")
    http_per_minute: int | None = Field(
        None,
        ge=1,
        description="HTTP requests from an address block (IPv4 address, IPv6 /64) in a minute. By"
        " default 600 with the limits deriv and a million with open.",
    )
    refusals_in_a_row: int | None = Field(
        None,
        ge=1,
        description="Close a connection after this many refusals by a rate limit in a row.",
    )
    connections_per_address: int | None = Field(
        None, ge=1, description="Connections from one address block (IPv4 address, IPv6 /64)."
    )
    connections_per_user: int | None = Field(
        None, ge=1, description="Connections signed in as one user."
    )
    proposal_streams: int | None = Field(
        None, ge=1, description="Proposal streams of one connection."
    )
    proposal_streams_per_client: int | None = Field(
        None,
        ge=1,
        description="Proposal streams of one user, or of one address block before sign-in.",
    )
    streams: int | None = Field(None, ge=1, description="Streams of all kinds of one connection.")
    streams_per_client: int | None = Field(
        None,
        ge=1,
        description="Streams of all kinds of one user, or of one address block before sign-in.",
    )
    stream_bytes: int | None = Field(
        None,
        ge=1024,
        description="Bytes of the streams of one connection, counted as the parts of a request that"
        " each message repeats.",
    )
    stream_bytes_per_client: int | None = Field(
        None,
        ge=1024,
        description="Bytes of the streams of one user, or of one address block before sign-in.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning",
        description="What is logged: info adds a line for each connection, refusal and write, debug"
        " one for each call.",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of the log: text for people, or one JSON object a line."
    )
    traces_to: str | None = Field(
        None,
        pattern=r"^https?://\S+$",
        description="URL of an OpenTelemetry collector (OTLP over HTTP), such as"
        " http://127.0.0.1:4318/v1/traces, which gets a span for each call. Needs the extra"
        " scopegate[tracing].",
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="Token with which /metrics can be read: Authorization: Bearer TOKEN. Without"
        " one, only this machine can read it, and only if nobody else can connect.",
    )
    operator_token: SecretStr | None = Field(
        None,
        description="Token with which the operator signs in at the page /operator, which shows"
        " connections, calls and refusals, and disables users and apps. Without one there is no"
        " such page.",
    )
    smtp_host: str | None = Field(
        None,
        description="Mail server for e-mails with codes. Without one, e-mails are written to the"
        " log, for development, if only this machine can connect.",
    )
    log_letters: bool = Field(
        False,
        description="Without a mail server, write e-mails and their codes to the log even if"
        " others can connect. Anyone who reads the log can use every code.",
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Security = Field(
        "starttls",
        description="Encryption of the connection to the mail server: starttls, tls (from the first"
        " byte, usually on port 465) or none.",
    )
    smtp_user: str | None = Field(None, description="User name for the mail server.")
    smtp_password: SecretStr | None = Field(None, description="Password for the mail server.")
    smtp_from: str | None = Field(
        None,
        pattern=r"^[^\s@<>]+@[^\s@<>]+$",
        description="Sender address of e-mails; required with a mail server.",
    )

    margin: Margins = Margins()
    """Each margin is a separate setting: `margin_touch`, `SCOPEGATE_MARGIN_TOUCH`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by priority: options, the environment, the settings file."""
        return (
            _Options(settings_cls, init_settings()),
            env_settings,
            _File(settings_cls, toml_file=_file()),
        )

    @classmethod
    def fields_by_name(cls) -> dict[str, FieldInfo]:
        """Return every setting by its name, in order; each margin of `margin` is one."""
        named: dict[str, FieldInfo] = {}
        for name, field in cls.model_fields.items():
            if name == "margin":
                margins = Margins.model_fields.items()
                named |= {f"{_MARGIN}{name}": margin for name, margin in margins}
            else:
                named[name] = field
        return named

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
                raise ValueError(f"{name!r} is not a host name")
        return tuple(map(name_of, value))

    @field_validator("metrics_token", "operator_token")
    @classmethod
    def _can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a token that no client could send: in a header, or typed at the page."""
        if value is not None and _TOKEN.fullmatch(value.get_secret_value()) is None:
            raise ValueError("must have 16 to 1000 ASCII letters, digits or signs, and no space")
        return value

    @field_validator("store")
    @classmethod
    def _is_location(cls, value: str | None) -> str | None:
        if value is not None:
            parsed(value)
        return value

    @property
    def location(self) -> Location:
        """Where the database is."""
        if self.store is None:
            return self.db
        return parsed(self.store, allow_unsafe=self.store_unsafe)

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "Settings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("set both tls_cert and tls_key, or neither")
        if self.tls_cert is not None and self.tls_self_signed:
            raise ValueError("give a certificate or tls_self_signed, not both")
        return self

    @model_validator(mode="after")
    def _tokens_differ(self) -> "Settings":
        if self.operator_token is not None and self.operator_token == self.metrics_token:
            raise ValueError(
                "operator_token: must not be the metrics_token, or the monitor could disable users"
            )
        return self

    @model_validator(mode="after")
    def _mail_is_whole(self) -> "Settings":
        if (self.smtp_host is None) != (self.smtp_from is None):
            raise ValueError("set both smtp_host and smtp_from, or neither")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("set both smtp_user and smtp_password, or neither")
        if self.smtp_user is not None and self.smtp_host is None:
            raise ValueError("smtp_user needs smtp_host")
        if (
            self.smtp_user is not None
            and self.smtp_security == "none"
            and not is_loopback(self.smtp_host or "")
        ):
            raise ValueError("smtp_security: a password is never sent unencrypted; use starttls")
        return self

    def refuse_market(self) -> None:
        """Raise `SettingsError` if a setting is changed that only the exchange uses."""
        for name, field in type(self).fields_by_name().items():
            if name.startswith(_MARGIN):
                value = getattr(self.margin, name.removeprefix(_MARGIN))
            elif name in ("seed", "start", "speed"):
                value = getattr(self, name)
            else:
                continue
            if value != field.default:
                raise SettingsError(f"{name}: needs the paper exchange, which is left out")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def demo_at_pages(self) -> bool:
        """Whether anyone who opens a page on this machine may be the demo user without a password.

        Not behind a trusted proxy. With allowed hosts, which may mean that others come through a
        proxy, only if the setting `demo` is on.
        """
        return self.on_loopback and not self.trusted_proxy and (self.demo or not self.allowed_host)

    @property
    def for_this_machine(self) -> bool:
        """Whether nobody else is expected to connect, directly or through a proxy."""
        return self.on_loopback and not (self.trusted_proxy or self.allowed_host)

    @property
    def letters_in_log(self) -> bool:
        """Whether e-mails are written to the log if there is no mail server.

        If others can connect, directly or through a proxy, only with the setting `log_letters`.
        """
        return self.log_letters or self.for_this_machine

    @property
    def faults_allowed(self) -> bool:
        """Whether owners may ask for faults of their own connections."""
        return self.allow_faults or self.for_this_machine

    def hosts(self) -> Hosts:
        """Return the host names to which the gateway answers."""
        return Hosts([*self.allowed_host, self.host])

    def mail_server(self) -> MailServer | None:
        """Return the mail server for e-mails; `None` if none is set."""
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
    def limits_in_force(self) -> Literal["open", "deriv"]:
        """The rate limits that apply, except those that are set singly."""
        return self.limits or ("open" if self.on_loopback else "deriv")

    def requests(self) -> int:
        """Return the number of HTTP requests that an address block may make in a minute."""
        return self.http_per_minute or HTTP_PER_MINUTE[self.limits_in_force]

    def profile(self) -> Profile:
        """Return the limits in force: those of a profile, except those that are set singly."""
        base = PROFILES[self.limits_in_force]

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
    """Load the settings from these options, the environment, the file and, last, `defaults`.

    Raises `SettingsError`.
    """
    if "db" in options and "store" not in options:
        options["store"] = None  # an option wins over a store of the environment or the file
    named = os.environ.get(PREFIX + "SETTINGS")
    kind: type[Settings] = Settings
    if defaults:
        kind = type("Settings", (_WithDefaults,), {"defaults": dict(defaults)})
    try:
        if named is not None and not Path(named).is_file():
            raise SettingsError(f"SCOPEGATE_SETTINGS: {named} is not a file")
        return _valid(kind, options)
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"the settings file cannot be read: {unreadable}") from unreadable


class _WithDefaults(Settings):
    """Settings with the defaults of a program, which every other source overrides."""

    defaults: ClassVar[dict[str, Any]] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *sources: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the usual sources, and the defaults last."""
        usual = super().settings_customise_sources(settings_cls, *sources, **named)
        return (*usual, _Options(settings_cls, cls.defaults))


def _file() -> str:
    return os.environ.get(PREFIX + "SETTINGS", DEFAULT_FILE)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return these settings with each `margin_touch` moved to `touch` in `margin`."""
    nested = {name: value for name, value in values.items() if not name.startswith(_MARGIN)}
    margins = {
        name.removeprefix(_MARGIN): value
        for name, value in values.items()
        if name.startswith(_MARGIN)
    }
    return nested | ({"margin": margins} if margins else {})


class _Options(InitSettingsSource):
    """The settings from a program or the command line."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls, _nested(values))


class _File(TomlConfigSettingsSource):
    """The settings file, without the tables of plugins."""

    def __call__(self) -> dict[str, Any]:
        values = super().__call__().items()
        return _nested({name: value for name, value in values if type(value) is not dict})


def warn_of_tables(plugins: Collection[str]) -> None:
    """Log a warning for each table of the settings file that belongs to none of these plugins.

    It may belong to a plugin of another gateway, or be misspelt.
    """
    for name, value in _tables().items():
        if type(value) is dict and name not in plugins:
            log.warning("no plugin has these settings", table=f"[{name}]", file=_file())


def _tables() -> dict[str, Any]:
    try:
        return tomllib.loads(Path(_file()).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"the settings file cannot be read: {unreadable}") from unreadable


ModelT = TypeVar("ModelT", bound=BaseModel)


def _structured(text: str) -> Any:
    """Parse the value of a variable: a JSON list or object, or else the text itself."""
    if text[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return text


def plugin_settings(
    name: str, model: type[ModelT], options: Mapping[str, Any], *, from_surroundings: bool
) -> ModelT:
    """Return the settings of a plugin: its variables, its table in the file and, last, `options`.

    Variables are `SCOPEGATE_<NAME>_<FIELD>`. Without `from_surroundings` only the options count.
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
        raise SettingsError(f"{name}.{min(unknown)}: unknown setting")
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
    """Return settings from these options alone, the same everywhere. Raises `SettingsError`."""
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
            yield f"{name}: unknown setting"
        else:
            text = error["msg"].removeprefix("Value error, ")
            yield f"{name}: {text}" if name else text
