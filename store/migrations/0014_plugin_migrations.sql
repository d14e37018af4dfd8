-- How far the migrations of each plugin have come.
CREATE TABLE plugin_migrations (
    plugin TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) WITHOUT ROWID;
