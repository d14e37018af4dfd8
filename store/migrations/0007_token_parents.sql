-- The token that a token was made with: it is revoked with it. Tokens made on the pages, on the
-- command line or by consent have none, nor have those made before this step.
ALTER TABLE tokens ADD COLUMN parent_id INTEGER REFERENCES tokens (id);

CREATE INDEX tokens_of_parent ON tokens (parent_id) WHERE parent_id IS NOT NULL;
