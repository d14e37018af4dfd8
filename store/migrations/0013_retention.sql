-- Indexes for finding old rows to delete (`scopegate.retention`, `scopegate.paper_retention`).

-- The address of a token's last use: finding it among all its uses got slower with their number.
ALTER TABLE tokens ADD COLUMN last_used_from TEXT NOT NULL DEFAULT '';

UPDATE tokens SET last_used_from = coalesce(
    (
        SELECT address FROM token_uses
        WHERE token_uses.token_id = tokens.id
        ORDER BY last_at DESC, address LIMIT 1
    ),
    ''
);

CREATE INDEX ended_tokens ON tokens (loginid, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ended_tokens_by_age ON tokens (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX uses_of_token ON token_uses (token_id, last_at);
CREATE INDEX uses_by_age ON token_uses (last_at);
CREATE INDEX ended_links ON links (user_id, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ended_links_by_age ON links (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX codes_of_link ON codes (link_id);
CREATE INDEX deleted_apps ON apps (user_id, deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX markups_of_app ON markups (app_id);
CREATE INDEX sign_ins_by_age ON sign_ins (at);
CREATE INDEX orders_by_age ON contract_orders (at);
CREATE INDEX ended_copyings ON copyings (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX copyings_of_copier_token ON copyings (copier_token);
CREATE INDEX copyings_of_trader_token ON copyings (trader_token);
