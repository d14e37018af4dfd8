-- The places of each user. The names of a plugin's tables and indexes begin with its own name.
CREATE TABLE weather_places (
    user_id INTEGER NOT NULL REFERENCES users (id),
    place TEXT NOT NULL,
    added_at REAL NOT NULL,
    PRIMARY KEY (user_id, place)
) WITHOUT ROWID;
