-- OAuth for integrators: secrets of apps.

-- The SHA-256 digest of the app's client secret, and when it was created; NULL if it has none.
ALTER TABLE apps ADD COLUMN secret_digest BLOB;
ALTER TABLE apps ADD COLUMN secret_created_at REAL;
