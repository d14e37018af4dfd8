"""The licences of what a gateway needs: each is one of those that are allowed here.

They are read from the metadata of the installed packages, whose names are in the lock files, and
from the folders of the libraries that the pages contain.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LIBRARIES = ROOT / "gateway" / "web" / "pages" / "vendor"
"""A folder for each library that the pages contain, with the text of its licence."""

ALLOWED = frozenset(
    [
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"),
        *("MPL-2.0", "PostgreSQL", "PSF-2.0", "Zlib"),
    ]
)
"""Identifiers (SPDX) of licences under which any package may be needed."""

ALLOWED_FOR = {
    ("psycopg", "LGPL-3.0-only"): "only for PostgreSQL, unchanged and replaceable",
    ("psycopg-binary", "LGPL-3.0-only"): "only for PostgreSQL, unchanged and replaceable",
}
"""Packages for which another licence is allowed, each with the reason."""

_CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
}
"""The identifiers of licences that packages without a licence expression name in another way."""

_ELSEWHERE = {"tzdata": "Apache-2.0"}
"""The licences of packages that are needed on Windows alone."""

_NAME = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_IDENTIFIER = re.compile(r"[A-Za-z0-9.+-]+")
_FIRST_LINES = {"The MIT License (MIT)": "MIT"}


class Licensed(NamedTuple):
    """A package or library, with its licence."""

    name: str
    licence: str
    """As the package states it: identifiers (SPDX), with `AND` and `OR` between several."""
    needed: str
    """When it is needed, or where it comes from."""


class LicenceError(Exception):
    """A licence is not stated, or not allowed."""


def licences() -> Iterator[Licensed]:
    """Yield what a gateway needs, by name. Raises `LicenceError` at a licence that is not allowed.

    Everything must be installed, with what PostgreSQL needs.
    """
    always = locked("run.txt")
    for name in sorted(always | locked("postgresql.txt")):
        try:
            licence = stated(metadata(name))
        except PackageNotFoundError:
            if name not in _ELSEWHERE:
                raise LicenceError(f"{name} is not installed") from None
            licence = _ELSEWHERE[name]
        allow(name, licence)
        yield Licensed(name, licence, "always" if name in always else "for PostgreSQL")
    for folder in sorted(LIBRARIES.iterdir()):
        first = (folder / "LICENSE.txt").read_text().partition("\n")[0].strip()
        yield Licensed(folder.name, _FIRST_LINES[first], "in the pages, which contain it")


def locked(file: str) -> frozenset[str]:
    """Return the names of the packages in a lock file."""
    return frozenset(_NAME.findall((ROOT / "requirements" / file).read_text()))


def stated(package: PackageMetadata) -> str:
    """Return the licence that a package states; empty if it states none that is known here."""
    for field in ("License-Expression", "License"):
        if field in package and _identifiers(package[field]):
            return package[field]
    classifiers = package.get_all("Classifier") or []
    return " OR ".join(_CLASSIFIERS[each] for each in classifiers if each in _CLASSIFIERS)


def allow(name: str, licence: str) -> None:
    """Raise `LicenceError` unless every licence that a package states is allowed for it."""
    for identifier in _identifiers(licence) or [""]:
        if identifier not in ALLOWED and (name, identifier) not in ALLOWED_FOR:
            raise LicenceError(f"{name}: the licence {licence!r} is not allowed (docs/licences.py)")


def _identifiers(licence: str) -> list[str]:
    """Return the identifiers in a licence expression; none if it is another text."""
    parts = [part for part in _IDENTIFIER.findall(licence) if part not in ("AND", "OR", "WITH")]
    words = re.split(r"[\s()]+(?:AND|OR|WITH)[\s()]+", licence.strip("() "))
    return parts if len(parts) == len(words) else []
