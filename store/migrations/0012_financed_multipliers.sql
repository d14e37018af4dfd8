-- Multipliers are measured against the forward price. Those bought before this migration keep their
-- terms: they are measured against their entry spot.
ALTER TABLE contracts ADD COLUMN is_financed INTEGER NOT NULL DEFAULT 0;
