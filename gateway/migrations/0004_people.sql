-- Codes that were sent by e-mail, to be told back by whoever reads the mail of that address.
-- Moments are real time. A letter that tells no code leaves a row too.

CREATE TABLE email_codes (
    digest BLOB PRIMARY KEY,
    email TEXT NOT NULL,
    kind TEXT NOT NULL,
    sent_at REAL NOT NULL,
    used_at REAL
) WITHOUT ROWID;

CREATE INDEX email_codes_of_address ON email_codes (email, sent_at);
CREATE INDEX email_codes_by_age ON email_codes (sent_at);
