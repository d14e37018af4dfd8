-- Whether there is a demo user, and whether there are others, is asked at sign-in pages.

CREATE INDEX users_by_kind ON users (is_demo);
