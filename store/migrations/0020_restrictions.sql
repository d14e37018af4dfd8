-- What tokens and authorizations are restricted to (`gateway.access.restrictions`), and what may be
-- traded and moved under them (`exchange.caps`).

CREATE TABLE restrictions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Those of the parent token or of the authorization, which hold as well; NULL if there are none.
    parent_id INTEGER REFERENCES restrictions (id),
    -- The token or the authorization that they were set for; NULL once its row is deleted.
    token_id INTEGER REFERENCES tokens (id) ON DELETE SET NULL,
    link_id INTEGER REFERENCES links (id) ON DELETE SET NULL,
    networks TEXT NOT NULL DEFAULT '',
    -- NULL: every account.
    accounts TEXT,
    calls_per_minute INTEGER
);
CREATE INDEX restrictions_of_parent ON restrictions (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX restrictions_of_token ON restrictions (token_id) WHERE token_id IS NOT NULL;
CREATE INDEX restrictions_of_link ON restrictions (link_id) WHERE link_id IS NOT NULL;
CREATE INDEX restrictions_of_nobody ON restrictions (id) WHERE token_id IS NULL AND link_id IS NULL;

ALTER TABLE tokens ADD COLUMN restrictions_id INTEGER REFERENCES restrictions (id);
-- The first token in a line of those that were rotated, whose row may be deleted; NULL for itself.
ALTER TABLE tokens ADD COLUMN first_id INTEGER;
ALTER TABLE links ADD COLUMN restrictions_id INTEGER REFERENCES restrictions (id);
-- When the authorization expires, with its tokens (epoch seconds); NULL if it does not.
ALTER TABLE links ADD COLUMN expires_at REAL;
CREATE INDEX tokens_with_restrictions ON tokens (restrictions_id) WHERE restrictions_id IS NOT NULL;

-- One row for each row of `restrictions`, with the same id and parent. Amounts are in the smallest
-- units of `currency`; lists are separated by spaces, and empty ones allow everything.
CREATE TABLE caps (
    id INTEGER PRIMARY KEY REFERENCES restrictions (id) ON DELETE CASCADE,
    parent_id INTEGER,
    currency TEXT NOT NULL,
    symbols TEXT NOT NULL DEFAULT '',
    markets TEXT NOT NULL DEFAULT '',
    contract_types TEXT NOT NULL DEFAULT '',
    max_stake INTEGER,
    max_stake_per_day INTEGER,
    max_loss_per_day INTEGER,
    max_open_contracts INTEGER,
    max_transfer_per_day INTEGER,
    no_trading TEXT NOT NULL DEFAULT '',
    -- Seconds after which contracts are sold that nobody is connected for; NULL: they are not.
    close_on_disconnect INTEGER,
    -- Until when (real time) somebody was connected, as far as it is known.
    present_until REAL,
    -- What was used: on `day` (days since 1970, market time), and by contracts that are open.
    day INTEGER NOT NULL DEFAULT 0,
    staked INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    transferred INTEGER NOT NULL DEFAULT 0,
    at_risk INTEGER NOT NULL DEFAULT 0,
    open_contracts INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX caps_to_watch ON caps (close_on_disconnect) WHERE close_on_disconnect IS NOT NULL;
CREATE INDEX caps_of_parent ON caps (parent_id) WHERE parent_id IS NOT NULL;

-- The caps that a contract counts for; NULL if it was bought without any. Contracts are kept for
-- ever, caps are not.
ALTER TABLE contracts ADD COLUMN caps_id INTEGER;
CREATE INDEX open_contracts_of_caps ON contracts (caps_id) WHERE caps_id IS NOT NULL
    AND status = 'open';
