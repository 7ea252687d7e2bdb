"""Links that show a conversation to others, to read only. They lie in a small file of the home (store.home)."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.store.home import HomeStore, update_json
from kb_assistant.workspace.chats import Chat
from kb_assistant.workspace.register import now

FILE = "shared-links.json"


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link to one conversation; there is at most one at a time.

    Attributes:
        key: The random end of its address.
        owner: Of the conversation.
        without_token: Whether it opens for everybody who has it; else for who has a token.
        created: ISO 8601 in UTC.
    """

    key: str
    chat: str
    owner: str
    without_token: bool
    created: str


class SharedLinks:
    """The links of one home."""

    def __init__(self, home: HomeStore) -> None:
        self._home = home

    def of(self, chat: str) -> SharedLink | None:
        """The link to a conversation; raises StoreError as `find`."""
        return next((one for one in self._all() if one.chat == chat), None)

    def find(self, key: str) -> SharedLink | None:
        """
        Raises:
            StoreError: the file is damaged.
        """
        return next((one for one in self._all() if secrets.compare_digest(one.key.encode(), key.encode())), None)

    def make(self, chat: Chat, without_token: bool) -> SharedLink:
        """Make a link to a conversation; an earlier one ends."""
        made = SharedLink(secrets.token_urlsafe(24), chat.id, chat.owner, without_token, now())
        self._update(chat.id, [made])
        return made

    def end(self, chat: str) -> None:
        """End the link to a conversation, if there is one."""
        if self.of(chat) is not None:
            self._update(chat, [])

    def _all(self) -> list[SharedLink]:
        try:
            written = self._home.text(FILE)
            return _links(json.loads(written.text)) if written else []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _update(self, chat: str, made: list[SharedLink]) -> None:
        def changed(value: Any) -> Any:
            kept = [] if value is None else [one for one in _links(value) if one.chat != chat]
            return [asdict(one) for one in (*kept, *made)]

        try:
            update_json(self._home, FILE, changed, what=_("the list of shared links"), mode=0o600, indent=1)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(
            _("{path} can't be read: {reason}.", path=self._home.place_of(FILE), reason=error),
            _("Delete it and share the conversations again."),
        )


def _links(value: Any) -> list[SharedLink]:
    return [
        SharedLink(
            str(one["key"]), str(one["chat"]), str(one["owner"]), one["without_token"] is True, str(one["created"])
        )
        for one in value
    ]
