-- Apps that the operator has disabled. The page of the operator lists them, and disabled users.

ALTER TABLE apps ADD COLUMN disabled_at REAL;
CREATE INDEX disabled_apps ON apps (disabled_at) WHERE disabled_at IS NOT NULL;
CREATE INDEX disabled_users ON users (disabled_at) WHERE disabled_at IS NOT NULL;
