"""Idempotency keys as they are stored: as digests, so that nobody can read them in the database."""

import hashlib


def stored_key(key: str, *of: str) -> str:
    """Return what is stored for an idempotency key: a digest of it and of what it belongs to.

    `of` are the account, and the kind of a payment; none of them has spaces, nor has a key. A
    migration has converted earlier keys in the same way.
    """
    return hashlib.sha256(" ".join([*of, key]).encode()).hexdigest()
