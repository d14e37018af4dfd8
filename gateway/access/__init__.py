"""Who may do what: users, tokens, apps, and the links between them."""
