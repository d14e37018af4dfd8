-- OAuth for integrators: secrets of apps, refresh tokens, and the device flow.

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

-- Whether programs without a browser can ask for consent to the app (RFC 8628).
ALTER TABLE apps ADD COLUMN device_flow INTEGER NOT NULL DEFAULT 0;

-- What such programs ask for.
CREATE TABLE device_requests (
    -- Of the device code, with which the program polls.
    digest BLOB PRIMARY KEY,
    -- Of the code that the user enters at the page.
    user_code_digest BLOB NOT NULL UNIQUE,
    app_id INTEGER NOT NULL REFERENCES apps (id),
    scopes TEXT NOT NULL,
    -- The block of addresses that it came from.
    requester TEXT NOT NULL,
    expires_at REAL NOT NULL,
    -- Seconds that must lie between two polls, and the moment of the last one.
    poll_seconds REAL NOT NULL,
    polled_at REAL,
    -- What the user decided: the authorization, or the moment of the refusal.
    link_id INTEGER REFERENCES links (id),
    refused_at REAL
) WITHOUT ROWID;
CREATE INDEX device_requests_that_expire ON device_requests (expires_at);
CREATE INDEX device_requests_of_requester ON device_requests (requester);
CREATE INDEX device_requests_of_app ON device_requests (app_id);
CREATE INDEX device_requests_of_link ON device_requests (link_id) WHERE link_id IS NOT NULL;
