"""How a provider's API is reached: where it lives, with what key, and what can go wrong.

    client.py      Transport, the one door to the network; when it asks again
    bytestream.py  a call, and its response's body as a stream
    retry.py       whether to ask again, and when
    failures.py    what can go wrong, as Wingman's errors
    access.py      where a provider lives, and the key that may be sent there

The package sends and receives bytes. It does not know what they mean: no request, no part, no
event of a stream, and no provider by name.
"""

from wingman.providers.transport.access import Access, Endpoint
from wingman.providers.transport.bytestream import ByteStream, Call
from wingman.providers.transport.client import Transport
from wingman.providers.transport.retry import Retry

__all__ = ["Access", "ByteStream", "Call", "Endpoint", "Retry", "Transport"]
