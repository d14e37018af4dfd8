"""Views: a class for each family of contracts that has more than the common fields in replies."""
