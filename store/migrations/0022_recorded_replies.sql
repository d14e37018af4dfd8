-- Replies to requests with an idempotency key: the same request again gets the same reply.
CREATE TABLE recorded_replies (
    -- Of the key, its owner and the call.
    digest BLOB PRIMARY KEY,
    -- The account, with the app if there is one, or the operator.
    owner TEXT NOT NULL,
    at REAL NOT NULL,
    -- Encrypted with what is derived from the key.
    reply BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX recorded_replies_by_time ON recorded_replies (at);
CREATE INDEX recorded_replies_of_owner ON recorded_replies (owner, at);
