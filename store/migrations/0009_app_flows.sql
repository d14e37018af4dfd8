-- The flows by which an app gets its result from the consent page; earlier apps allow both.
ALTER TABLE apps ADD COLUMN flow TEXT NOT NULL DEFAULT 'both'
    CHECK (flow IN ('tokens', 'code', 'both'));
