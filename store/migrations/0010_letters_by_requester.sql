-- Who requested a letter: the address block, the signed-in user, and whether that user is the
-- recipient.
ALTER TABLE email_codes ADD COLUMN block TEXT;
ALTER TABLE email_codes ADD COLUMN user_id INTEGER;
ALTER TABLE email_codes ADD COLUMN own INTEGER NOT NULL DEFAULT 0;

CREATE INDEX email_codes_of_block ON email_codes (block) WHERE block IS NOT NULL;
CREATE INDEX email_codes_of_user ON email_codes (user_id) WHERE user_id IS NOT NULL;
