-- What was requested under the idempotency key of a purchase, to notice another request under it.
-- Both are NULL for purchases without a key, and for those of earlier releases.
ALTER TABLE contracts ADD COLUMN request_digest TEXT;
-- NULL for purchases by parameters, too.
ALTER TABLE contracts ADD COLUMN proposal_id TEXT;
