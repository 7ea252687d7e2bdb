"""The signed-in sessions of a page that several machines serve: a browser's next request may reach another one."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from kb_assistant.messages import _
from kb_assistant.store.home import HomeStore, SmallFile, update_json

_FILE = "sessions.json"


class SharedSessions:
    """Those of one home. Only hashes of a session's number and of the token behind it are kept.

    Args:
        clock: Seconds, the same on all machines.
    """

    def __init__(self, home: HomeStore, clock: Callable[[], float] = time.time) -> None:
        self._home, self._clock = home, clock
        self._read: tuple[SmallFile, dict[str, Any]] | None = None

    def begin(self, digest: str, seconds: float) -> str:
        """Create a session. Returns its number, for the cookie.

        Args:
            digest: Of the token.
            seconds: How long it lasts.

        Raises:
            StoreError: it can't be kept.
        """
        number, now = secrets.token_urlsafe(32), self._clock()

        def begun(before: Any) -> Any:
            kept = {key: one for key, one in (before or {}).items() if one[1] > now}
            return kept | {_hash(number): [digest, now + seconds]}

        self._update(begun)
        return number

    def digest_of(self, number: str) -> str:
        """The digest of the token behind a session; "" if there is no such session any more.

        Raises:
            StoreError: that can't be found out.
        """
        read = self._read
        now = self._home.text(_FILE, read and read[0])
        if now is None:
            return ""
        if read is None or now is not read[0]:
            self._read = read = now, json.loads(now.text)
        digest, until = read[1].get(_hash(number), ("", 0.0))
        return str(digest) if until > self._clock() else ""

    def end(self, number: str) -> None:
        """Forget a session, on all machines."""
        self._update(lambda before: {key: one for key, one in (before or {}).items() if key != _hash(number)})

    def _update(self, change: Callable[[Any], Any]) -> None:
        update_json(self._home, _FILE, change, what=_("the list of sessions"), mode=0o600)


def _hash(number: str) -> str:
    return hashlib.sha256(number.encode("utf-8", "replace")).hexdigest()
