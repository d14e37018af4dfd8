-- What was created with an app's token, so that the token can manage only that.

-- The app whose token registered this one; NULL if its owner did.
ALTER TABLE apps ADD COLUMN registered_by INTEGER;

-- The app whose token opened the account; NULL if its owner did.
ALTER TABLE accounts ADD COLUMN opened_by INTEGER;

-- Every authorization lists its accounts: those of its tokens, if none were stored.
UPDATE links SET loginids = (
    SELECT coalesce(group_concat(loginid), '')
    FROM (SELECT DISTINCT loginid FROM tokens WHERE tokens.link_id = links.id ORDER BY loginid)
        AS of_tokens
)
WHERE loginids = '';
