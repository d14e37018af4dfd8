"""The framework: how a message travels from a socket to a handler and back, and who may send it.

It knows no call by name and no exchange. Its folders, from the lowest; each imports only from those
before it:

- `calls`: the registry, dispatch, sessions and streams, limits and fair scheduling
- `access`: users, tokens, apps, consent, verification
- `transport`: sockets, frames, HTTP
- `web`: the pages, OAuth, the descriptions of the calls
"""
