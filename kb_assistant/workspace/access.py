"""Who may use a page that is reachable by others: names with tokens, of which only hashes are stored."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.messages import _
from kb_assistant.small_file import update_json

Role = Literal["full", "read"]

_FILE = "access.json"
_NAME = re.compile(r"\w[\w.@-]{0,63}")
LOCAL = "local"
"""The user of a page that only this machine can reach; no token is needed."""


@dataclass(frozen=True, slots=True)
class User:
    """A user with a token. The role "read" may ask questions and keep conversations, and change nothing else."""

    name: str
    role: Role

    @property
    def may_write(self) -> bool:
        return self.role == "full"


_Entry = tuple[User, str]


class Access:
    """The users of one home."""

    def __init__(self, home: Path) -> None:
        self.file = home / _FILE

    def users(self) -> list[User]:
        """All users with a token, by name.

        Raises:
            StoreError: the file is damaged.
        """
        return sorted((user for user, _ in self._entries()), key=lambda user: user.name)

    def add(self, name: str, role: Role = "full") -> str:
        """Create a token for a user; an earlier one becomes invalid. Returns the token, which is stored nowhere.

        Raises:
            SettingsError: the name isn't valid.
        """
        if not _NAME.fullmatch(name) or name == LOCAL:
            raise SettingsError(
                _("{name!r} can't name a user.", name=name), _("Use up to 64 letters, digits, '.', '-', '@'.")
            )
        token = secrets.token_urlsafe(32)
        entry = (User(name, role), token_digest(token))
        self._update(lambda entries: [*(one for one in entries if one[0].name != name), entry])
        return token

    def remove(self, name: str) -> bool:
        """Revoke a user's token. Returns whether there was one."""
        gone: list[_Entry] = []

        def without(entries: list[_Entry]) -> list[_Entry]:
            gone.extend(one for one in entries if one[0].name == name)
            return [one for one in entries if one[0].name != name]

        if self.file.exists():
            self._update(without)
        return bool(gone)

    def check(self, token: str) -> User | None:
        """The user of a token. Takes the same time for every token, however much of it is right."""
        return self.user_of_digest(token_digest(token))

    def user_of_digest(self, digest: str) -> User | None:
        """The user whose token has this digest now, in the same constant time.

        Raises:
            StoreError: the file is damaged.
        """
        found = None
        for user, known in self._entries():
            if hmac.compare_digest(digest, known):
                found = user
        return found

    def _entries(self) -> list[_Entry]:
        try:
            return _entries(json.loads(self.file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _update(self, change: Callable[[list[_Entry]], list[_Entry]]) -> None:
        def changed(value: Any) -> Any:
            return [
                asdict(user) | {"sha256": digest}
                for user, digest in change([] if value is None else _entries(value))
            ]

        try:
            update_json(self.file, changed, what=_("the list of users"), mode=0o600, indent=1)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(
            _("{path} can't be read: {reason}.", path=self.file, reason=error),
            _("Delete it and add the users again."),
        )


def _entries(value: Any) -> list[_Entry]:
    return [(User(one["name"], one["role"]), str(one["sha256"])) for one in value]


def token_digest(token: str) -> str:
    """SHA-256 as hex digits. Tokens are long and random, so a slow hash would add nothing."""
    return hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()
