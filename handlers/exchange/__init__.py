"""The calls of the paper exchange, and the services that several of them share."""
