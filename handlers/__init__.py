"""What each call does: one class for each group of calls."""
