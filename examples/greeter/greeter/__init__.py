"""A package that adds a call to Scopegate."""
