-- The token with which a token was created: revoking it revokes the new one too. Tokens created on
-- the pages, on the command line, by consent or before this migration have none.
ALTER TABLE tokens ADD COLUMN parent_id INTEGER REFERENCES tokens (id);

CREATE INDEX tokens_of_parent ON tokens (parent_id) WHERE parent_id IS NOT NULL;
