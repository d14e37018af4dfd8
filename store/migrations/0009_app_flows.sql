-- The flows by which an app takes its answer from the consent page; earlier apps take either.
ALTER TABLE apps ADD COLUMN flow TEXT NOT NULL DEFAULT 'both'
    CHECK (flow IN ('tokens', 'code', 'both'));
