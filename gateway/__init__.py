"""The framework: moves messages from sockets to handlers and back, and checks who may send them.

It declares no call and does not depend on the exchange. Its folders, lowest layer first; each
imports only from those above it in this list:

- `calls`: the registry, dispatch, sessions and streams, limits and fair scheduling
- `access`: users, tokens, apps, consent, verification
- `transport`: sockets, frames, HTTP
- `web`: the pages, OAuth, the descriptions of the calls
"""
