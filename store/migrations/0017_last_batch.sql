-- The last batch of the writer's process, to know whether it was committed if the process ends.

CREATE TABLE last_batch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
);
INSERT INTO last_batch (id, name) VALUES (1, '');
