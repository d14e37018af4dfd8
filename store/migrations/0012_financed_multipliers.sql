-- Multipliers are measured against the forward price. Those that were open before keep what they
-- were bought under: they are measured against their entry spot.
ALTER TABLE contracts ADD COLUMN is_financed INTEGER NOT NULL DEFAULT 0;
