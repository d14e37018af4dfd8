"""Clients that mean no good, in large numbers: docs/hostile-load.md."""
