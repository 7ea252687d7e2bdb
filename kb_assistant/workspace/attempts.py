"""Counts wrong tokens by the address they come from, so that nobody guesses one, and nobody locks others out."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, MutableMapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

ATTEMPTS = 10
WINDOW_SECONDS = 60.0
"""After this many wrong tokens in this time from one address, no token from there is checked."""

MOST_ADDRESSES = 10_000
"""Most addresses whose wrong tokens are counted; then the least recently seen one is dropped."""


class Attempts:
    """Counts wrong tokens by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def exhausted(self, address: str) -> bool:
        """Whether tokens from this address aren't checked now."""
        times = self._wrong.get(address)
        return times is not None and len(times) == ATTEMPTS and self._clock() - times[0] < WINDOW_SECONDS

    def wrong(self, address: str) -> None:
        """Count a wrong token."""
        self._wrong.setdefault(address, deque(maxlen=ATTEMPTS)).append(self._clock())
        self._wrong.move_to_end(address)
        if len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)


def address_of(scope: MutableMapping[str, Any]) -> str:
    """The sender of a request (an ASGI scope), for counting wrong tokens: an IPv4 address, or the first 64 bits of
    an IPv6 address, which one subscriber gets; "" if the server gives none.

    Behind a proxy the server (uvicorn) replaces the proxy's address by the one in its X-Forwarded-For header. It
    trusts proxies on this machine and those listed in the variable FORWARDED_ALLOW_IPS.
    """
    host = str((scope.get("client") or ("",))[0])
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)
