"""The rules for a server that listens: nobody else can reach it, or each of them has a token."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.workspace.access import Access

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that only this machine reaches."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens, and whom it asks for a token.

    Attributes:
        login: Whether a token is asked for on this machine, too.
        folders: Folders below which others may name one to be read.
        certificate, key: For TLS.
    """

    host: str = "127.0.0.1"
    port: int = 8502
    login: bool = False
    folders: tuple[Path, ...] = ()
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether nobody else reaches it."""
        return self.host in LOOPBACK

    @property
    def needs_token(self) -> bool:
        return self.login or not self.is_local

    @property
    def readable(self) -> tuple[Path, ...] | None:
        """Where folders may be named to be read; None for anywhere, where only this machine's user can."""
        return self.folders if self.folders or self.needs_token else None

    @property
    def address(self) -> str:
        """As a browser takes it."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{shown}:{self.port}"

    def check(self, access: Access) -> None:
        """
        Raises:
            KBError: tokens are asked for and nobody has one, only one of certificate and key is given, or nothing
                can listen on the address.
        """
        _check_rules(access, self.needs_token, self.certificate, self.key)
        _check_address(self.host, self.port)


def _check_rules(access: Access, login: bool, certificate: Path | None, key: Path | None) -> None:
    if login and not access.users():
        raise KBError(
            _("Others could reach the server, and nobody has a token."),
            _("Make one with `kb token add NAME` first."),
        )
    if (certificate is None) != (key is None):
        raise KBError(_("A certificate needs its key, and a key its certificate."), _("Give --cert and --key."))


def _check_address(host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise KBError(
            _("Nothing can listen on {host}, port {port}: {reason}.", host=host, port=port, reason=error),
            _("Another `kb ui` or `kb serve` may be running there: end it, or choose another with --port."),
        ) from error
