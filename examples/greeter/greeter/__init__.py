"""A package with a call of its own for Scopegate."""
