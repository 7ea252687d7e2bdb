"""Objects of an S3-compatible store: their list, and their bytes. Addresses are `s3://bucket/prefix`.

Who may read comes from the environment, as with other programs: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_REGION, and AWS_ENDPOINT_URL for stores that aren't Amazon's. What the store says is untrusted: sizes are
counted, not believed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ingest.sandbox.confine import MEGABYTE
from kb_assistant.errors import KBError
from kb_assistant.messages import _

SCHEME = "s3://"

_ADDRESS = re.compile(r"s3:/+(?P<bucket>[A-Za-z0-9][A-Za-z0-9.-]{1,62})(/(?P<prefix>[^\0]*))?")
_SECONDS = 60
_TRIES = 4
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Found:
    """An object, as the store lists it. `version` changes with its content."""

    source: str
    key: str
    size: int
    version: str
    modified: str

    @property
    def facts(self) -> dict[str, str]:
        """What is kept with the source, so that it is known again without a download."""
        return {"etag": self.version, "last_modified": self.modified}


class TooLarge(Exception):
    """An object is larger than it may be."""


class Bucket:
    """What lies below an address.

    Raises:
        KBError: it is no such address, or the package is missing.
    """

    def __init__(self, address: str) -> None:
        named = _ADDRESS.fullmatch(address)
        if named is None:
            raise KBError(
                _("{address!r} is no address of objects.", address=address), _("Write s3://bucket/prefix.")
            )
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise KBError(_("Package obstore is missing."), _('pip install "kb-assistant[s3]"')) from error
        self.name, self.prefix = named["bucket"], (named["prefix"] or "").strip("/")
        self.source = f"{SCHEME}{self.name}/{self.prefix}".rstrip("/")
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        try:
            self._store: Any = S3Store(
                self.name,
                client_options={"allow_http": plain, "timeout": f"{_SECONDS}s", "connect_timeout": "10s"},
                retry_config={"max_retries": _TRIES, "retry_timeout": timedelta(seconds=_SECONDS)},
            )
        except Exception as error:  # the library's own classes have no common one
            raise self._refused(error) from error

    def objects(self) -> Iterator[Found]:
        """The object at the address, or all below it.

        Raises:
            KBError: the store can't be reached, or refuses.
        """
        import obstore

        try:
            if self.prefix:
                try:
                    yield self._found(obstore.head(self._store, self.prefix))
                    return
                except FileNotFoundError:
                    pass
            for page in obstore.list(self._store, self.prefix or None):
                yield from map(self._found, page)
        except GeneratorExit:
            raise
        except Exception as error:
            raise self._refused(error) from error

    def require(self) -> None:
        """Look whether what lies here may be listed and read; that nothing does is no fault.

        Raises:
            KBError: as for `objects`.
        """
        import obstore

        if first := next(self.objects(), None):
            try:
                obstore.head(self._store, first.key)
            except FileNotFoundError:
                pass
            except Exception as error:
                raise self._refused(error) from error

    def read(self, one: Found, megabytes: int) -> bytes:
        """An object's bytes.

        Raises:
            TooLarge: there are more than so many megabytes.
            FileNotFoundError: it is gone.
            KBError: as for `objects`.
        """
        import obstore

        data, most = bytearray(), megabytes * MEGABYTE
        if one.size > most:
            raise TooLarge
        try:
            for block in obstore.get(self._store, one.key):
                data += block
                if len(data) > most:
                    raise TooLarge
        except (TooLarge, FileNotFoundError):
            raise
        except Exception as error:
            raise self._refused(error) from error
        return bytes(data)

    def _found(self, one: Any) -> Found:
        modified = one["last_modified"].isoformat()
        version = one["e_tag"] or f"{modified} {one['size']}"
        return Found(f"{SCHEME}{self.name}/{one['path']}", one["path"], one["size"], version, modified)

    def _refused(self, error: Exception) -> KBError:
        return KBError(
            _("{address} can't be read: {reason}.", address=self.source, reason=_reason(error)),
            _("Look at AWS_ENDPOINT_URL, AWS_REGION and the keys AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        )


def _reason(error: Exception) -> str:
    """What the store says, else the first line of the error; without the library's view of itself."""
    text = str(error)
    if code := re.search(r"<Code>([^<]+)</Code>(?:\s*<Message>([^<]*))?", text):
        text = ": ".join(filter(None, code.groups()))
    first = text.strip().split("\n")[0] or type(error).__name__
    return "".join(one for one in first if one.isprintable())[:_SHOWN].rstrip(". :")
