-- Codes that were sent by e-mail, to be entered by a person who reads the mail of that address.
-- Times are real time. A letter without a code has a row too.

CREATE TABLE email_codes (
    digest BLOB PRIMARY KEY,
    email TEXT NOT NULL,
    kind TEXT NOT NULL,
    sent_at REAL NOT NULL,
    used_at REAL
) WITHOUT ROWID;

CREATE INDEX email_codes_of_address ON email_codes (email, sent_at);
CREATE INDEX email_codes_by_age ON email_codes (sent_at);

-- The self-exclusion limits of an account; amounts in smallest units, times in market time.
CREATE TABLE self_exclusions (
    loginid TEXT PRIMARY KEY REFERENCES accounts (loginid),
    max_balance INTEGER,
    max_deposit INTEGER,
    max_7day_deposit INTEGER,
    max_30day_deposit INTEGER,
    max_losses INTEGER,
    max_7day_losses INTEGER,
    max_30day_losses INTEGER,
    max_turnover INTEGER,
    max_7day_turnover INTEGER,
    max_30day_turnover INTEGER,
    max_open_bets INTEGER,
    session_duration_limit INTEGER,
    exclude_until INTEGER,
    timeout_until INTEGER
) WITHOUT ROWID;

CREATE INDEX contracts_by_purchase ON contracts (loginid, bought_at);
CREATE INDEX paid_in ON ledger (loginid, at) WHERE contract_id IS NULL AND amount > 0;

-- Users' answers about their finances and experience: a JSON object of objects.
CREATE TABLE financial_assessments (
    user_id INTEGER PRIMARY KEY REFERENCES users (id),
    answers TEXT NOT NULL
);

-- The part of a contract's price for the owner of the app through which it was bought, in smallest
-- units; and the ledger entry that credited it to an account of the owner.
ALTER TABLE contracts ADD COLUMN markup INTEGER NOT NULL DEFAULT 0;

CREATE TABLE markups (
    contract_id INTEGER PRIMARY KEY REFERENCES contracts (id),
    app_id INTEGER NOT NULL REFERENCES apps (id),
    loginid TEXT NOT NULL REFERENCES accounts (loginid),
    amount INTEGER NOT NULL CHECK (amount > 0),
    -- The same in US cents, at the rate of the purchase.
    cents INTEGER NOT NULL,
    booked_by INTEGER NOT NULL REFERENCES ledger (id),
    at INTEGER NOT NULL
);

CREATE INDEX markups_of_account ON markups (loginid, at);
