"""What a loss of power leaves of the database: docs/power-failure.md."""
