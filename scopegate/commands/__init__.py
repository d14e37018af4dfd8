"""The commands that manage a database, each group in a module of its own."""
