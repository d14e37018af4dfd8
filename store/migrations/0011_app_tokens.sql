-- What an app's token has made, so that it can manage that and nothing else.

-- The app whose token registered this one; none where its owner did.
ALTER TABLE apps ADD COLUMN registered_by INTEGER;

-- The app whose token opened the account; none where its owner did.
ALTER TABLE accounts ADD COLUMN opened_by INTEGER;

-- Every authorization names its accounts: those of its tokens, where none were kept.
UPDATE links SET loginids = (
    SELECT coalesce(group_concat(loginid), '')
    FROM (SELECT DISTINCT loginid FROM tokens WHERE tokens.link_id = links.id ORDER BY loginid)
)
WHERE loginids = '';
