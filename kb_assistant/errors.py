"""Errors shown to users. Each says what happened and what to do next."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Mapping
from typing import Any

from kb_assistant.messages import Message, _, join, to_json

_FULL = {errno.ENOSPC, errno.EDQUOT}


def hint_for(error: OSError, otherwise: str) -> str:
    """What to do where something can't be written: make room if the disk is full, else `otherwise`."""
    return _("Free some space and run the command again.") if error.errno in _FULL else otherwise


class KBError(Exception):
    """What went wrong, in words for the user, and what to do next.

    Args:
        message: What happened, one sentence.
        hint: What to do next; often a command to copy.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def to_json(self) -> dict[str, Any]:
        """Message and hint; the template of a message, if any, as its "id", with its values."""
        message = self.message
        known: dict[str, Any] = {"error": str(message), "hint": str(self.hint)}
        if isinstance(message, Message) and isinstance(message.values, Mapping):
            known |= {"id": message.template, "values": to_json(message.values)}
        return known

    @property
    def full_message(self) -> str:
        """What happened and what to do, as one message."""
        return join((self.message, self.hint))


class SettingsError(KBError):
    """A setting is unknown or has an impossible value."""


class ModelError(KBError):
    """A model is missing, damaged, or can't do what was asked."""


class EmbedderMismatch(KBError):
    """The index was built with another embedder than the current one."""


class BundleError(KBError):
    """A bundle can't be made."""


class StoreError(KBError):
    """The store can't be opened, read or written."""


class CorruptStore(StoreError):
    """The store's file is damaged; `verify` with repair fixes it."""


class LostConnection(StoreError):
    """The server of the store can't be reached now, or went away; nothing of the transaction was kept."""


class BusyError(KBError):
    """Another process is writing to this knowledge base."""


class ReadError(KBError):
    """A document can't be read: the reason is one row of the report."""


class QuestionError(KBError):
    """A question or a history has the wrong form."""


class NotFoundError(KBError):
    """There is no such knowledge base, document, passage or job, or it may not be seen: which of the two isn't
    said."""


class ForbiddenError(KBError):
    """It may be seen, but this may not be done with it."""


class DatasetError(KBError):
    """A set of questions and documents has the wrong form."""


def how_to_make(name: str) -> str:
    """The hint for a knowledge base that isn't there."""
    if name == "default":
        return _("Make it with `kb ingest FOLDER`.")
    return _("Make it with `kb ingest FOLDER --kb {name}`.", name=shlex.quote(name))
