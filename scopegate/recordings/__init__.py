"""Recordings of what clients and a gateway sent each other, and gateways that replay them."""
