"""Ids of passages and sources, as other programs are told them.

The store's own ids are hashes of the path and the text. Who may read a passage and isn't told where it lies could
try folders until one gives the id. So an id leaves the machine enciphered with a key of the home (AES, one
block), and that of a source is its path's HMAC. They stay the same as long as the home does.
"""

from __future__ import annotations

import hmac
import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.once import once
from kb_assistant.store.home import HomeStore

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher

FILE = "ids.json"
_BYTES = 16
"""Of the key, and of a passage's id: one block of the cipher."""

_SOURCE_CHARACTERS = 24


class ToldIds:
    """The ids of one home.

    Raises:
        StoreError: the home's key can't be read, or a first one not be kept.
    """

    def __init__(self, home: HomeStore) -> None:
        self._home = home

    def told(self, passage: str) -> str:
        """What the id of a passage is told as."""
        block = _block(passage)
        return self._cipher.encryptor().update(block).hex() if block else passage

    def known(self, told: str) -> str:
        """The id that is told so; "" if none is."""
        block = _block(told)
        return self._cipher.decryptor().update(block).hex() if block else ""

    def source(self, path: str) -> str:
        """A short name of a source."""
        return hmac.digest(self._key, path.encode("utf-8", "replace"), "sha256").hex()[:_SOURCE_CHARACTERS]

    @once
    def _key(self) -> bytes:
        found: list[bytes] = []

        def choose(kept: str | None) -> str | None:
            found[:] = [secrets.token_bytes(_BYTES) if kept is None else self._read(kept)]
            return json.dumps({"key": found[0].hex()}) if kept is None else None

        self._home.update(FILE, choose, what=_("the key of ids"), mode=0o600)
        return found[0]

    def _read(self, kept: str) -> bytes:
        block = b""
        with suppress(ValueError, TypeError, KeyError):
            block = _block(json.loads(kept)["key"])
        if not block:
            raise StoreError(
                _("{path} is damaged.", path=self._home.place_of(FILE)),
                _("Move it away: links to passages that were given then lead nowhere."),
            )
        return block

    @once
    def _cipher(self) -> Cipher[Any]:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(self._key), modes.ECB())  # one block


def _block(id_: str) -> bytes:
    """The bytes of an id; empty if it has another form."""
    try:
        block = bytes.fromhex(id_)
    except ValueError:
        return b""
    return block if len(block) == _BYTES and block.hex() == id_ else b""
