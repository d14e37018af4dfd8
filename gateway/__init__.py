"""How a message travels from a socket to a handler and back; knows no call by name."""
