-- Sign-ins at the gateway's own pages, authorisation codes, and what a consent settles of a link.

-- The tokens of one sign-in hang on its record, work at the pages alone, and end by themselves.
ALTER TABLE tokens ADD COLUMN sign_in_id INTEGER REFERENCES sign_ins (id);
ALTER TABLE tokens ADD COLUMN expires_at REAL;

CREATE INDEX tokens_of_sign_in ON tokens (sign_in_id) WHERE sign_in_id IS NOT NULL;
CREATE INDEX tokens_that_expire ON tokens (expires_at)
    WHERE expires_at IS NOT NULL AND ended_at IS NULL;

-- The accounts that an app may reach, with commas between.
ALTER TABLE links ADD COLUMN loginids TEXT NOT NULL DEFAULT '';

-- The origins whose pages may use the app, with blanks between; any origin where there is none.
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

-- By which a new token is told apart from all there were of its account.
CREATE INDEX tokens_by_mask ON tokens (loginid, masked);
