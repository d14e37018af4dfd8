-- The open contracts of an account, for the checks of a purchase. The condition is a column as well:
-- otherwise SQLite uses an index of all its contracts, which grows for ever.
DROP INDEX open_contracts;
CREATE INDEX open_contracts ON contracts (loginid, status, contract_type, payout)
    WHERE status = 'open';

-- The open contracts under caps are found among those of their user: an index of their own would
-- cost each purchase more than it saves. NULL: nothing can be open under them any more.
ALTER TABLE caps ADD COLUMN user_id INTEGER;

WITH RECURSIVE known (id, user_id) AS (
    SELECT restrictions.id, accounts.user_id FROM restrictions
        JOIN tokens ON tokens.id = restrictions.token_id
        JOIN accounts ON accounts.loginid = tokens.loginid
    UNION SELECT restrictions.id, links.user_id FROM restrictions
        JOIN links ON links.id = restrictions.link_id
    UNION SELECT contracts.caps_id, accounts.user_id FROM contracts
        JOIN accounts ON accounts.loginid = contracts.loginid
        WHERE contracts.caps_id IS NOT NULL AND contracts.status = 'open'
    UNION SELECT caps.parent_id, known.user_id FROM caps
        JOIN known ON caps.id = known.id WHERE caps.parent_id IS NOT NULL
)
UPDATE caps SET user_id = known.user_id FROM known WHERE known.id = caps.id;

DROP INDEX open_contracts_of_caps;
