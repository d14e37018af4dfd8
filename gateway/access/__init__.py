"""Access control: users, tokens, apps, and the authorizations of apps by users."""
