"""Where a database is: an SQLite file, or a PostgreSQL server."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SQLITE = "sqlite:"
POSTGRESQL = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class Server:
    """A database of a PostgreSQL server."""

    url: str
    """As libpq takes it, without a password."""
    allow_unsafe: bool = False
    """Whether the server may run without `fsync` or `full_page_writes`."""

    def __str__(self) -> str:
        return self.url


Location = Path | Server


def address(location: Location) -> str:
    """Return the text of a location, as `parsed` takes it."""
    return f"{SQLITE}{location.resolve()}" if isinstance(location, Path) else location.url


def parsed(text: str, *, allow_unsafe: bool = False) -> Location:
    """Return the location that `sqlite:FILE` or `postgresql://…` means.

    Raises `ValueError`, whose text never has a password in it.
    """
    if text.startswith(SQLITE) and len(text) > len(SQLITE):
        return Path(text.removeprefix(SQLITE))
    if not text.startswith(POSTGRESQL):
        raise ValueError(
            "use sqlite:FILE, such as sqlite:scopegate.db, or postgresql://HOST/DATABASE"
        )
    try:
        parts = urlsplit(text)
        has_password = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        raise ValueError("the address is not a URL such as postgresql://HOST/DATABASE") from None
    if has_password:
        raise ValueError(
            "leave the password out, because other users of the machine can read it: set PGPASSWORD"
            " in the environment, or write a password file (~/.pgpass)"
        )
    return Server(text, allow_unsafe)
