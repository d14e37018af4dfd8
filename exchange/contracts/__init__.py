"""The contracts that are traded: their types, prices, states and shortcodes."""
