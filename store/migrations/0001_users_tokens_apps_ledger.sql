-- Users and what they own; tokens, apps and links; accounts and their ledger.
-- Money is in whole numbers of the currency's smallest unit. Audit times are real time, and ledger
-- times are market time, both in seconds since 1970.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    country TEXT NOT NULL DEFAULT '',
    settings TEXT NOT NULL DEFAULT '{}',
    is_demo INTEGER NOT NULL DEFAULT 0,
    disabled_at REAL,
    created_at REAL NOT NULL
);

CREATE TABLE accounts (
    loginid TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    currency TEXT NOT NULL,
    is_virtual INTEGER NOT NULL,
    balance INTEGER NOT NULL DEFAULT 0 CHECK (balance >= 0),
    created_at REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX accounts_of_user ON accounts (user_id);

CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    loginid TEXT NOT NULL REFERENCES accounts (loginid),
    action TEXT NOT NULL,
    amount INTEGER NOT NULL,
    balance_after INTEGER NOT NULL CHECK (balance_after >= 0),
    at INTEGER NOT NULL,
    app_id INTEGER,
    note TEXT NOT NULL DEFAULT ''
);

CREATE INDEX ledger_of_account ON ledger (loginid, id);

CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER REFERENCES users (id),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    redirect_uri TEXT NOT NULL DEFAULT '',
    verification_uri TEXT NOT NULL DEFAULT '',
    homepage TEXT NOT NULL DEFAULT '',
    github TEXT NOT NULL DEFAULT '',
    appstore TEXT NOT NULL DEFAULT '',
    googleplay TEXT NOT NULL DEFAULT '',
    markup TEXT NOT NULL DEFAULT '0',
    official INTEGER NOT NULL DEFAULT 0,
    deleted_at REAL,
    created_at REAL NOT NULL
);

CREATE INDEX apps_of_user ON apps (user_id);

CREATE TABLE links (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id INTEGER NOT NULL REFERENCES apps (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    scopes TEXT NOT NULL,
    created_at REAL NOT NULL,
    last_used_at REAL,
    ended_at REAL
);

CREATE UNIQUE INDEX live_link ON links (app_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX links_of_user ON links (user_id);

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    masked TEXT NOT NULL,
    loginid TEXT NOT NULL REFERENCES accounts (loginid),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    valid_for_ip TEXT NOT NULL DEFAULT '',
    link_id INTEGER REFERENCES links (id),
    kind TEXT NOT NULL CHECK (kind IN ('owner', 'app', 'demo')),
    created_at REAL NOT NULL,
    last_used_at REAL,
    ended_at REAL
);

CREATE INDEX tokens_of_account ON tokens (loginid) WHERE ended_at IS NULL;
CREATE INDEX tokens_of_link ON tokens (link_id);

CREATE TABLE token_uses (
    token_id INTEGER NOT NULL REFERENCES tokens (id),
    address TEXT NOT NULL,
    call TEXT NOT NULL,
    uses INTEGER NOT NULL,
    last_at REAL NOT NULL,
    PRIMARY KEY (token_id, address, call)
) WITHOUT ROWID;

CREATE TABLE sign_ins (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    action TEXT NOT NULL,
    at REAL NOT NULL,
    address TEXT NOT NULL,
    language TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    succeeded INTEGER NOT NULL
);

CREATE INDEX sign_ins_of_user ON sign_ins (user_id, id);

-- Changes by other processes, which the gateway reads and applies to live connections.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);

-- The public test app that all published demos use.
INSERT INTO apps (id, user_id, name, scopes, official, created_at)
VALUES (1089, NULL, 'Test app', 'read,trade,payments,admin,trading_information', 1, 0);
