-- Which calls of a token were refused, and the error code of the latest refusal.

ALTER TABLE token_uses ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token_uses ADD COLUMN last_error TEXT NOT NULL DEFAULT '';
