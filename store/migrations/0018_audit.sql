-- The audit trail: who changed what (`gateway.access.audit`), and how often tokens were authorized on
-- the present day.

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    event TEXT NOT NULL,
    user_id INTEGER REFERENCES users (id),
    actor TEXT NOT NULL,
    about TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE INDEX audit_of_user ON audit (user_id, id);

CREATE TABLE daily_authorizations (
    day INTEGER NOT NULL,
    token_id INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (day, token_id, address)
);
