"""The calls of every gateway: signing in, tokens, apps, consent, oversight, and its own state."""
