"""Reports after a run: what a bot did, what came of it, and what its trades should have brought."""
