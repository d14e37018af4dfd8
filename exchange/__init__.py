"""The paper market: symbols and prices. It knows no JSON, no session and no subscription."""
