-- Sign-ins at the gateway's own pages, authorization codes, and what a consent decides for a link.

-- The tokens of one sign-in refer to its record, work only at the pages, and expire.
ALTER TABLE tokens ADD COLUMN sign_in_id INTEGER REFERENCES sign_ins (id);
ALTER TABLE tokens ADD COLUMN expires_at REAL;

CREATE INDEX tokens_of_sign_in ON tokens (sign_in_id) WHERE sign_in_id IS NOT NULL;
CREATE INDEX tokens_that_expire ON tokens (expires_at)
    WHERE expires_at IS NOT NULL AND ended_at IS NULL;

-- The accounts that an app may access, separated by commas.
ALTER TABLE links ADD COLUMN loginids TEXT NOT NULL DEFAULT '';

-- The origins whose pages may use the app, separated by blanks; empty means any origin.
ALTER TABLE apps ADD COLUMN allowed_origins TEXT NOT NULL DEFAULT '';

CREATE TABLE codes (
    digest BLOB PRIMARY KEY,
    link_id INTEGER NOT NULL REFERENCES links (id),
    redirect_uri TEXT NOT NULL,
    redirect_uri_given INTEGER NOT NULL,
    challenge TEXT NOT NULL,
    expires_at REAL NOT NULL,
    used_at REAL
) WITHOUT ROWID;

-- To check that the masked form of a new token is unique among all tokens of its account.
CREATE INDEX tokens_by_mask ON tokens (loginid, masked);
