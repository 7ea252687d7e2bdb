"""Password-protected OpenDocument files: each member is deflated, then encrypted (OpenDocument 1.2 part 3, 3.4
and 4.8).

Supports AES and, from older programs, Blowfish. The format of LibreOffice since 24.8 (one encrypted package,
Argon2id) isn't supported.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
import zlib
from importlib.util import find_spec
from typing import Any

from ingest.readers.blocks import Context
from ingest.readers.office.encrypted_office import MISSING
from ingest.readers.zip_container import damaged, member, xml
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_WHAT = _("OpenDocument file")
_MANIFEST = "META-INF/manifest.xml"
_M = "{urn:oasis:names:tc:opendocument:xmlns:manifest:1.0}"
_WANTED = "content.xml"
_MOST_BYTES = 200_000_000
_LONGEST_KEY = 32  # bytes
_MOST_ROUNDS = 10_000_000


def without_password(archive: zipfile.ZipFile, context: Context) -> zipfile.ZipFile:
    """The archive itself if nothing is encrypted, else one with the members that a password of the context opens.

    Raises:
        ReadError: no password was given, none fits, or the needed package isn't installed.
    """
    locks = _locks(archive)
    if not locks or (_WANTED in archive.namelist() and _WANTED not in locks):  # only macros are encrypted
        return archive
    if not context.passwords:
        raise ReadError(
            _("The {what} needs a password.", what=_WHAT),
            _("Give it with --password, or save a copy without one."),
        )
    if _WANTED not in locks or not all(map(_is_known, locks.values())):
        raise ReadError(
            _("The {what} is under a password in a form that isn't known.", what=_WHAT),
            _("Save a copy without a password."),
        )
    if find_spec("cryptography") is None:
        raise ReadError(_("The {what} needs a password, and opening it needs an extra.", what=_WHAT), MISSING)
    for password in context.passwords:
        if plain := _unlocked(archive, locks, password):
            return zipfile.ZipFile(plain)
    raise ReadError(
        _("No password given opens the {what}.", what=_WHAT), _("Check --password, or save a copy without one.")
    )


def _unlocked(archive: zipfile.ZipFile, locks: dict[str, Any], password: str) -> io.BytesIO | None:
    """The XML and the unencrypted members of an archive; None if the password doesn't fit."""
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as copy:
        for name in archive.namelist():
            if name not in locks:
                copy.writestr(name, member(archive, name, _WHAT))
            elif name.endswith(".xml"):
                inner = _opened(member(archive, name, _WHAT), locks[name], password)
                if inner is None:
                    return None
                copy.writestr(name, inner)
    return plain


def _locks(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest's encryption data of members, by name."""
    if _MANIFEST not in archive.namelist():
        return {}
    try:
        entries = xml(member(archive, _MANIFEST, _WHAT), recover=True).iter(f"{_M}file-entry")
    except ValueError as error:
        raise damaged(_WHAT) from error
    found = {entry.get(f"{_M}full-path"): entry.find(f"{_M}encryption-data") for entry in entries}
    return {name: lock for name, lock in found.items() if lock is not None}


def _is_known(lock: Any) -> bool:
    cipher, derivation = (
        _said(lock, "algorithm", "algorithm-name"),
        _said(lock, "key-derivation", "key-derivation-name"),
    )
    return cipher.endswith(("aes256-cbc", "Blowfish CFB")) and derivation.lower().endswith("pbkdf2")


def _opened(data: bytes, lock: Any, password: str) -> bytes | None:
    """A decrypted member; None if the password doesn't fit."""
    try:
        deflated = _decrypted(data, lock, password)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inner = inflater.decompress(deflated, _MOST_BYTES)
    except (ValueError, zlib.error):
        return None
    if inflater.unconsumed_tail:
        raise ReadError(
            _("The {what} is too large when unpacked.", what=_WHAT), _("Split it, if it is a real one.")
        )
    return inner if inflater.eof else None


def _decrypted(data: bytes, lock: Any, password: str) -> bytes:
    from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    rounds = int(_said(lock, "key-derivation", "iteration-count") or 1024)
    first = (
        hashlib.sha256
        if _said(lock, "start-key-generation", "start-key-generation-name").endswith("256")
        else hashlib.sha1
    )
    salt = base64.b64decode(_said(lock, "key-derivation", "salt"))
    size = int(_said(lock, "key-derivation", "key-size") or 16)
    if not (0 < size <= _LONGEST_KEY and 0 < rounds <= _MOST_ROUNDS):
        raise damaged(_WHAT)
    key = hashlib.pbkdf2_hmac("sha1", first(password.encode()).digest(), salt, rounds, size)
    start = base64.b64decode(_said(lock, "algorithm", "initialisation-vector"))
    if _said(lock, "algorithm", "algorithm-name").endswith("CFB"):
        cipher: Any = Cipher(Blowfish(key), CFB(start))
    else:
        cipher = Cipher(algorithms.AES(key), modes.CBC(start))
    decryptor = cipher.decryptor()
    plain: bytes = decryptor.update(data) + decryptor.finalize()
    return plain


def _said(lock: Any, element: str, attribute: str) -> str:
    found = lock.find(f"{_M}{element}")
    return "" if found is None else str(found.get(f"{_M}{attribute}", ""))
