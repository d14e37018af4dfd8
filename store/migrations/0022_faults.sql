-- The faults that owners have asked for (`gateway.access.stored_faults`), each for a token or for an
-- authorization of an app.

CREATE TABLE faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token_id INTEGER REFERENCES tokens (id) ON DELETE CASCADE,
    link_id INTEGER REFERENCES links (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    -- An object in JSON.
    options TEXT NOT NULL,
    created_at REAL NOT NULL,
    CHECK ((token_id IS NULL) <> (link_id IS NULL))
);
CREATE INDEX faults_of_token ON faults (token_id) WHERE token_id IS NOT NULL;
CREATE INDEX faults_of_link ON faults (link_id) WHERE link_id IS NOT NULL;
