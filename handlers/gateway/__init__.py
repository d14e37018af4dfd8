"""The calls of every gateway: sign-in, tokens, apps, consent, oversight, and gateway state."""
