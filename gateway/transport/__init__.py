"""Bytes and frames: one object owns each socket until it is closed."""
