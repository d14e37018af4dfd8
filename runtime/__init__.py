"""Shared by the exchange and the gateway: the clock, and tasks that are kept running."""
