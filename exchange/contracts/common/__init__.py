"""What the families of contracts share: terms, states, quotes, and the base classes of types."""
