"""The paper exchange: symbols, prices, contracts, accounts and payments.

It does not depend on the wire format, sessions or subscriptions.
"""
