-- What a user agreed to with an authorization: the app as it was then. If the app goes beyond that,
-- the authorization is suspended until the user agrees again.
ALTER TABLE links ADD COLUMN agreed_name TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN agreed_scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN agreed_redirect_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN agreed_markup TEXT NOT NULL DEFAULT '0';
ALTER TABLE links ADD COLUMN suspended_at REAL;

-- For earlier authorizations the app at that time is not known: the app as it is now is used.
UPDATE links SET (agreed_name, agreed_scopes, agreed_redirect_uri, agreed_markup) =
    (SELECT name, scopes, redirect_uri, markup FROM apps WHERE apps.id = links.app_id);
