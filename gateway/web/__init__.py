"""The HTTP side: the pages, the token endpoint, the descriptions of the calls."""
