-- Payments from one account to another, and the payment agents through whom different users pay.
-- The amounts of a payment are stored only in its two ledger entries.

CREATE TABLE payments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('transfer', 'to_client', 'to_agent')),
    paid_by INTEGER NOT NULL UNIQUE REFERENCES ledger (id),
    received_by INTEGER NOT NULL UNIQUE REFERENCES ledger (id),
    payer TEXT NOT NULL REFERENCES accounts (loginid),
    payee TEXT NOT NULL REFERENCES accounts (loginid),
    remarks TEXT NOT NULL,
    idempotency_key TEXT,
    CHECK (payer <> payee)
);

CREATE UNIQUE INDEX payment_of_key ON payments (payer, kind, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- Lists are JSON. Commissions are percentages as decimal text.
CREATE TABLE payment_agents (
    loginid TEXT PRIMARY KEY REFERENCES accounts (loginid),
    country TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    information TEXT NOT NULL,
    affiliate_id TEXT NOT NULL,
    commission_deposit TEXT NOT NULL,
    commission_withdrawal TEXT NOT NULL,
    payment_methods TEXT NOT NULL,
    phone_numbers TEXT NOT NULL,
    urls TEXT NOT NULL,
    approved_at REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX agents_of_country ON payment_agents (country, approved_at);

-- The latest reason that an account's owner gave for withdrawing through an agent.
CREATE TABLE withdrawal_reasons (
    loginid TEXT PRIMARY KEY REFERENCES accounts (loginid),
    message TEXT NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
