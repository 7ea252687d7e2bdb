"""Zip and tar behind one interface: their members by number, each with its problem, if any."""

from __future__ import annotations

import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import IO, Protocol, cast

from kb_assistant.errors import ReadError
from kb_assistant.messages import _

BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
           NotImplementedError, RuntimeError, IndexError, KeyError, AttributeError)  # fmt: skip
"""Errors that the libraries raise on a damaged archive."""

_DRIVE = re.compile(r"[A-Za-z]:")
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_AES = 99


@dataclass(frozen=True, slots=True)
class Entry:
    """The description of a member. `cheap`: skipping it costs nothing."""

    name: str
    size: int
    problem: str = ""
    cheap: bool = True


class ArchiveFile(Protocol):
    """Members by number. Reading them in ascending order is quick; in a compressed tar no other order is.
    `passwords` are tried on encrypted members."""

    passwords: Sequence[str]

    def entry(self, number: int) -> Entry | None: ...

    def open(self, number: int) -> IO[bytes]: ...


def open_archive(name: str, file: IO[bytes], passwords: Sequence[str] = ()) -> ArchiveFile:
    """Decide by suffix first: a tar whose last member is a zip looks like a zip, too."""
    kinds: list[type[_Zip] | type[_Tar]] = [_Zip, _Tar] if name.lower().endswith(".zip") else [_Tar, _Zip]
    problem: Exception | None = None
    for kind in kinds:
        try:
            file.seek(0)
            return kind(file, passwords)
        except BROKEN as error:
            problem = problem or error
    raise ReadError(_("The archive is damaged, or it is none."), _("Pack or download it anew.")) from problem


_MOST_TRIED = 100_000_000
"""Bytes of a member read to test a password."""


class _Zip:
    def __init__(self, file: IO[bytes], passwords: Sequence[str]) -> None:
        self.passwords = passwords
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self._infos = self._zip.infolist()

    def entry(self, number: int) -> Entry | None:
        if number >= len(self._infos):
            return None
        info = self._infos[number]
        if info.is_dir():
            return Entry("", 0)
        name, problem = _checked(_zip_name(info))
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problem = problem or _("a link or a device: not followed in archives")
        if info.flag_bits & _ENCRYPTED and not self._password(number):
            problem = problem or (
                _("encrypted with AES; pip install 'kb-assistant[locked]' opens it with its --password")
                if info.compress_type == _AES and find_spec("pyzipper") is None
                else _(
                    "encrypted; give its password with --password, or unpack the archive into a folder with its "
                    "password"
                )
            )
        return Entry(name, info.file_size, problem)

    def open(self, number: int) -> IO[bytes]:
        is_locked = self._infos[number].flag_bits & _ENCRYPTED
        return self._open(number, self._password(number) if is_locked else None)

    def _open(self, number: int, key: bytes | None) -> IO[bytes]:
        """Raises RuntimeError if the password is wrong."""
        info = self._infos[number]
        if info.compress_type != _AES or key is None:
            return self._zip.open(info, pwd=key)
        return cast(IO[bytes], _AesMember(self._file, number, key))

    def _password(self, number: int) -> bytes:
        """The password that opens a member; empty if none does.

        One wrong password in 256, with AES in 65,536, passes the format's own check: of several that pass, the one
        that matches the checksum is right.
        """
        if self._infos[number].compress_type == _AES and find_spec("pyzipper") is None:
            return b""
        keys = []
        for password in self.passwords:
            with suppress(RuntimeError, zipfile.BadZipFile), self._open(number, password.encode()):
                keys.append(password.encode())
        return next((key for key in keys if len(keys) == 1 or self._fits(number, key)), b"".join(keys[:1]))

    def _fits(self, number: int, key: bytes) -> bool:
        left = _MOST_TRIED
        try:
            with self._open(number, key) as member:
                while left > 0 and (part := member.read(1 << 16)):
                    left -= len(part)
        except BROKEN:
            return False
        return True


class _AesMember(io.RawIOBase):
    """A member under AES (WinZip's AE-1 and AE-2), which the standard library doesn't know, by pyzipper.

    Raises:
        zipfile.BadZipFile: it is damaged; also when it is read.
        RuntimeError: the password is wrong.
    """

    def __init__(self, file: IO[bytes], number: int, key: bytes) -> None:
        import pyzipper

        self._damage = (pyzipper.BadZipFile, struct.error, ValueError, IndexError)
        try:
            archive = pyzipper.AESZipFile(file)
            self._member = archive.open(archive.infolist()[number], pwd=key)
        except self._damage as error:
            raise zipfile.BadZipFile(str(error)) from error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return cast(bytes, self._member.read(size))
        except self._damage as error:
            raise zipfile.BadZipFile(str(error)) from error


class _Tar:
    def __init__(self, file: IO[bytes], passwords: Sequence[str]) -> None:
        self.passwords = passwords
        self._tar = tarfile.open(fileobj=file, mode="r:*", errors="surrogateescape")  # noqa: SIM115 - kept open
        self._infos: list[tarfile.TarInfo] = []

    def entry(self, number: int) -> Entry | None:
        while number >= len(self._infos):
            info = self._tar.next()
            if info is None:
                return None
            self._infos.append(info)
        info = self._infos[number]
        if info.isdir():
            return Entry("", 0)
        name, problem = _checked(_decoded(info.name.encode("utf-8", "surrogateescape")))
        if not info.isreg():
            problem = problem or _("a link or a device: not followed in archives")
        return Entry(name, info.size, problem, cheap=False)

    def open(self, number: int) -> IO[bytes]:
        file = self._tar.extractfile(self._infos[number])
        if file is None:
            raise tarfile.ReadError
        return file


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Decode a name. Without the UTF-8 flag a zip doesn't give its encoding; Chinese Windows writes GBK."""
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    return _decoded(info.filename.encode("cp437", "replace"))


def _decoded(name: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return name.decode("cp437")


def _checked(name: str) -> tuple[str, str]:
    """The name with single slashes, and its problem. A name that leads out of the archive stays unchanged."""
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if slashed.startswith("/") or _DRIVE.match(slashed) or ".." in parts:
        return slashed.lstrip("/"), _("refused: its name leads out of the archive")
    if any(ord(letter) < 32 for letter in slashed):
        return "/".join(parts), _("refused: control characters in its name")
    return "/".join(parts), ""
