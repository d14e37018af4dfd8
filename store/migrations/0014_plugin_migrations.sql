-- The number of the last migration that was run, for each plugin.
CREATE TABLE plugin_migrations (
    plugin TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) WITHOUT ROWID;
