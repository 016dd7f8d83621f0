"""How a provider's API is reached: where it lives, with what key, and what can go wrong.

    client.py      Transport, the one door to the network; when it asks again
    sending.py     calls as requests, prepared once
    connections.py the connections that are kept for the next call
    proxies.py     through which proxy a URL is asked
    bytestream.py  a call, and its response's body as a stream
    inflating.py   a compressed body, in small pieces
    retry.py       whether to ask again, and when
    failures.py    what can go wrong, as Wingman's errors
    kinds.py       which error it is, by its status and its names
    strays.py      what comes in place of a stream, or stands in it and is of no protocol
    explaining.py  what a provider says of an error, in whatever shape
    scrubbing.py   secrets kept out of texts
    access.py      where a provider lives, and the key that may be sent there

The package sends and receives bytes. It does not know what they mean: no request, no part, no
event of a stream, and no provider by name. Of errors it knows the shapes in which they are told.
"""

from wingman.providers.transport.access import Access, Endpoint
from wingman.providers.transport.bytestream import ByteStream, Call
from wingman.providers.transport.client import Transport
from wingman.providers.transport.explaining import NOTHING_SAID, Explanation, explained, is_error
from wingman.providers.transport.failures import cause, told
from wingman.providers.transport.retry import Retry
from wingman.providers.transport.scrubbing import scrub
from wingman.providers.transport.strays import stray

__all__ = [
    "NOTHING_SAID",
    "Access",
    "ByteStream",
    "Call",
    "Endpoint",
    "Explanation",
    "Retry",
    "Transport",
    "cause",
    "explained",
    "is_error",
    "scrub",
    "stray",
    "told",
]
