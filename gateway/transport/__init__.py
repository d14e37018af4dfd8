"""Sockets, frames, TLS and HTTP: one object owns each socket until it is closed."""
