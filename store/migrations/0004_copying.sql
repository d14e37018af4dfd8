-- Who copies whose trades, and the results.
-- Money is in whole numbers of the currency's smallest unit. Times are market time.

-- The trader's contract of which this one is a copy: an account has at most one copy of each.
ALTER TABLE contracts ADD COLUMN copied_from INTEGER REFERENCES contracts (id);

CREATE UNIQUE INDEX copy_of_contract ON contracts (copied_from, loginid)
    WHERE copied_from IS NOT NULL;

CREATE TABLE copyings (
    copier TEXT NOT NULL REFERENCES accounts (loginid),
    trader TEXT NOT NULL REFERENCES accounts (loginid),
    -- The identifier that the copier uses for it; unlike a token, it grants no access.
    handle TEXT NOT NULL UNIQUE,
    -- The token that started it, and the token that named the trader: it ends with either.
    copier_token INTEGER NOT NULL REFERENCES tokens (id),
    trader_token INTEGER NOT NULL REFERENCES tokens (id),
    -- Separated by blanks; empty means all.
    assets TEXT NOT NULL,
    trade_types TEXT NOT NULL,
    min_stake INTEGER,
    max_stake INTEGER,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (copier, trader)
) WITHOUT ROWID;

CREATE INDEX copiers_of_trader ON copyings (trader) WHERE ended_at IS NULL;

-- Recent copies and refused copies, as reported to copiers.
CREATE TABLE copy_reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    copier TEXT NOT NULL REFERENCES accounts (loginid),
    trader TEXT NOT NULL REFERENCES accounts (loginid),
    action TEXT NOT NULL CHECK (action IN ('buy', 'sell', 'cancel')),
    original INTEGER NOT NULL REFERENCES contracts (id),
    contract_id INTEGER REFERENCES contracts (id),
    code TEXT,
    message TEXT,
    at INTEGER NOT NULL,
    CHECK (contract_id IS NOT NULL OR code IS NOT NULL),
    CHECK ((code IS NULL) = (message IS NULL))
);

CREATE INDEX reports_of_copier ON copy_reports (copier, id);
