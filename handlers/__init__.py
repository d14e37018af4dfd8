"""The handlers of calls: one class for each group of calls.

`gateway` has the calls that every gateway offers, `exchange` those of the paper exchange.
"""
