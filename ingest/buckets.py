"""The buckets that a worker reads, each opened once. Whether this machine may read them is asked again and again:
keys expire, and a network goes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence

from ingest.object_store import SCHEME, Bucket
from kb_assistant.errors import KBError

_KNOWN_S = 10.0


class Buckets:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Bucket] = {}
        self._told: dict[str, tuple[float, str]] = {}

    def obstacle(self, addresses: Sequence[str], known_s: float = _KNOWN_S, readable_s: float = _KNOWN_S) -> str:
        """Why one of the addresses can't be read here, or "". Paths of files are left out.

        Args:
            known_s: For so many seconds an obstacle that was found holds.
            readable_s: For so many seconds it holds that there was none.
        """
        return next(filter(None, (self._obstacle(one, known_s, readable_s) for one in _objects(addresses))), "")

    def _obstacle(self, address: str, known_s: float, readable_s: float) -> str:
        with self._lock:
            when, why = self._told.get(address, (-math.inf, ""))
            if time.monotonic() - when >= (known_s if why else readable_s):
                why = ""
                try:
                    self._opened(address).require()
                except KBError as error:
                    why = error.message
                self._told[address] = time.monotonic(), why
            return why

    def holding(self, source: str, addresses: Sequence[str]) -> Bucket:
        """The bucket of an object, opened as that of the address that it was found below.

        Raises:
            KBError: as for Bucket.
        """
        with self._lock:
            above = (one for one in _objects(addresses) if f"{source}/".startswith(f"{one.rstrip('/')}/"))
            return self._opened(next(above, source))

    def _opened(self, address: str) -> Bucket:
        if address not in self._open:
            self._open[address] = Bucket(address)
        return self._open[address]


def _objects(addresses: Sequence[str]) -> list[str]:
    return [one for one in addresses if one.startswith(SCHEME)]
