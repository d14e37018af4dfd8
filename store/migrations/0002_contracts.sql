-- Contracts of the paper exchange, and the counter accounts of the ledger.
-- Money is in whole numbers of the currency's smallest unit. Times are market time. Prices are not
-- stored: the feed computes them again.

CREATE TABLE contracts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    loginid TEXT NOT NULL REFERENCES accounts (loginid),
    app_id INTEGER,
    contract_type TEXT NOT NULL,
    shortcode TEXT NOT NULL,
    currency TEXT NOT NULL,
    price INTEGER NOT NULL CHECK (price > 0),
    payout INTEGER NOT NULL CHECK (payout >= 0),
    cancellation_price INTEGER NOT NULL DEFAULT 0,
    commission INTEGER NOT NULL DEFAULT 0,
    take_profit INTEGER,
    take_profit_at INTEGER,
    stop_loss INTEGER,
    stop_loss_at INTEGER,
    -- The tick up to which it was known to be open when its orders last changed.
    followed_to INTEGER NOT NULL DEFAULT 0,
    -- How often its orders have changed.
    version INTEGER NOT NULL DEFAULT 0,
    bought_at INTEGER NOT NULL,
    bought_by INTEGER REFERENCES ledger (id),
    idempotency_key TEXT,
    status TEXT NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'won', 'lost', 'sold', 'cancelled')),
    sold_for INTEGER CHECK (sold_for >= 0),
    sold_at INTEGER,
    sold_by INTEGER REFERENCES ledger (id),
    exit_epoch INTEGER,
    CHECK ((status = 'open') = (sold_for IS NULL))
);

CREATE INDEX open_contracts ON contracts (loginid, payout) WHERE status = 'open';
CREATE INDEX closed_contracts ON contracts (loginid, sold_at) WHERE status <> 'open';
CREATE UNIQUE INDEX contract_of_key ON contracts (loginid, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE contract_orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contract_id INTEGER NOT NULL REFERENCES contracts (id),
    kind TEXT NOT NULL CHECK (kind IN ('take_profit', 'stop_loss')),
    amount INTEGER,
    at INTEGER NOT NULL
);

CREATE INDEX orders_of_contract ON contract_orders (contract_id, id);

ALTER TABLE ledger ADD COLUMN contract_id INTEGER REFERENCES contracts (id);
ALTER TABLE ledger ADD COLUMN counter TEXT NOT NULL DEFAULT 'outside';

CREATE INDEX ledger_of_contract ON ledger (contract_id) WHERE contract_id IS NOT NULL;

-- The other side of every ledger entry: with these, all balances of a currency add up to zero.
CREATE TABLE counter_accounts (
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    balance INTEGER NOT NULL,
    PRIMARY KEY (name, currency)
) WITHOUT ROWID;

INSERT INTO counter_accounts (name, currency, balance)
SELECT 'outside', accounts.currency, -sum(ledger.amount)
FROM ledger JOIN accounts ON accounts.loginid = ledger.loginid
GROUP BY accounts.currency;
