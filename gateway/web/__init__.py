"""What HTTP answers: the pages, the token endpoint, the descriptions of the calls."""
