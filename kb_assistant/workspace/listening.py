"""The rules for a server that listens: nobody else can reach it, or each of them has a token."""

from __future__ import annotations

import socket
from pathlib import Path

from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.workspace.access import Access

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that only this machine reaches."""


def check_rules(access: Access, login: bool, certificate: Path | None, key: Path | None) -> None:
    """
    Raises:
        KBError: tokens are asked for and nobody has one, or only one of certificate and key is given.
    """
    if login and not access.users():
        raise KBError(
            _("Others could reach the server, and nobody has a token."),
            _("Make one with `kb token add NAME` first."),
        )
    if (certificate is None) != (key is None):
        raise KBError(_("A certificate needs its key, and a key its certificate."), _("Give --cert and --key."))


def check_address(host: str, port: int) -> None:
    """
    Raises:
        KBError: nothing can listen there.
    """
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise KBError(
            _("Nothing can listen on {host}, port {port}: {reason}.", host=host, port=port, reason=error),
            _("Another `kb ui` or `kb serve` may be running there: end it, or choose another with --port."),
        ) from error


def address_text(host: str, port: int, secure: bool) -> str:
    """As a browser takes it."""
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"
