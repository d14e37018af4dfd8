-- OAuth for integrators: secrets of apps, and refresh tokens.

-- The SHA-256 digest of the app's client secret, and when it was created; NULL if it has none.
ALTER TABLE apps ADD COLUMN secret_digest BLOB;
ALTER TABLE apps ADD COLUMN secret_created_at REAL;

-- Refresh tokens of authorizations. Used ones are kept, so that a second use is noticed.
CREATE TABLE refresh_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    link_id INTEGER NOT NULL REFERENCES links (id),
    -- The id of the first of those that replaced one another.
    line_id INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    used_at REAL
);
CREATE INDEX refresh_tokens_of_link ON refresh_tokens (link_id);
CREATE INDEX refresh_tokens_of_line ON refresh_tokens (line_id);
CREATE INDEX refresh_tokens_that_expire ON refresh_tokens (expires_at);

-- The refresh token that a token was issued with.
ALTER TABLE tokens ADD COLUMN refresh_id INTEGER REFERENCES refresh_tokens (id) ON DELETE SET NULL;
CREATE INDEX tokens_with_refresh ON tokens (refresh_id) WHERE refresh_id IS NOT NULL;
