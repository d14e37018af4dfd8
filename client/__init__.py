"""A client for programs that must not miss anything: it survives lost connections.

    async with Client("ws://127.0.0.1:5555/websockets/v3", token) as client:
        print((await client.balance())["balance"])

`docs/clients.md` shows how to use it. It imports nothing else of Scopegate.
"""

from scopegate.client.backoff import Backoff as Backoff
from scopegate.client.client import Client as Client
from scopegate.client.errors import AccessError as AccessError
from scopegate.client.errors import CallError as CallError
from scopegate.client.errors import CallTimeout as CallTimeout
from scopegate.client.errors import ClientError as ClientError
from scopegate.client.errors import ClosedError as ClosedError
from scopegate.client.errors import ConnectionLost as ConnectionLost
from scopegate.client.errors import GapError as GapError
from scopegate.client.streams import Stream as Stream
