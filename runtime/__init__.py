"""What the exchange and the gateway both run on: a clock, and tasks that are kept running."""
