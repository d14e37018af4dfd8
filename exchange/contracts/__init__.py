"""What is traded: types of contracts, how each is priced, how its life goes, and its short form."""
