"""The database: a transaction as one function, the engine that runs it, and the migrations."""
