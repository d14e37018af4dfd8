"""What the paper exchange allows, in one place."""

MOST_OPEN_POSITIONS = 100
"""Contracts that an account may have open at once."""

LARGEST_PAYOUT = 50_000
"""What the open contracts of an account may pay together, in the account's currency."""
