"""What a home knows of its users: their groups, their tokens' hashes, and what is granted. Values and JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kb_assistant.workspace.rights import EVERY_BASE, RIGHTS, Grant, Principal, Right, audience_of

VERSION = 2
OLD_ROLES: dict[str, Right] = {"full": "manage", "read": "read"}
"""What the roles of version 1 allow: on every knowledge base."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without the token itself.

    Attributes:
        id: Its first characters, `kb_` and eight more, by which lists and logs name it; for one of an earlier
            version the first eight of its hash.
        label: What it is for; one user's tokens have different ones.
        sha256: Its hash, as hex digits.
        created, expires: ISO 8601 in UTC; "" if it isn't known, or never.
        bases: The knowledge bases it is limited to; None for no limit.
        right: The widest right it carries.
    """

    id: str
    user: str
    sha256: str
    label: str = ""
    created: str = ""
    expires: str = ""
    bases: tuple[str, ...] | None = None
    right: Right = "manage"

    def is_expired(self, now: datetime) -> bool:
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= now

    def to_json(self) -> dict[str, Any]:
        """Everything but the hash."""
        known = asdict(self) | {"bases": None if self.bases is None else list(self.bases)}
        del known["sha256"]
        return known


@dataclass(frozen=True, slots=True)
class Register:
    """Users with their groups, tokens and grants.

    Attributes:
        users: The groups of each user.
    """

    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: tuple[Token, ...] = ()
    grants: tuple[Grant, ...] = ()

    def principal(self, token: Token) -> Principal | None:
        """Who uses this token; None if its user is gone."""
        if token.user not in self.users:
            return None
        bases = None if token.bases is None else frozenset(token.bases)
        return replace(self.user(token.user), token=token.id, bases=bases, most=token.right)

    def user(self, name: str) -> Principal:
        """A user, with all its rights."""
        groups = frozenset(self.users.get(name, ()))
        means = audience_of(name, groups)
        return Principal(name, groups, tuple(one for one in self.grants if one.to in means))

    def rights_of(self, name: str) -> dict[str, Right]:
        """The widest right of a user on each knowledge base on which something is granted to it; maybe also on
        EVERY_BASE."""
        user = self.user(name)
        bases = sorted({one.base for one in user.grants})
        return {base: right for base in bases if (right := user.right_on(base))}

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "users": {name: {"groups": list(groups)} for name, groups in self.users.items()},
            "tokens": [token.to_json() | {"sha256": token.sha256} for token in self.tokens],
            "grants": [asdict(grant) for grant in self.grants],
        }

    @classmethod
    def from_json(cls, value: Any) -> Register:
        """The inverse of to_json; also reads version 1, a list of names with a role and one token's hash each.

        Raises:
            ValueError, KeyError, TypeError: it is neither.
        """
        if isinstance(value, list):
            return _of_version_1(value)
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']}")
        return cls(
            {str(name): tuple(map(str, one["groups"])) for name, one in value["users"].items()},
            tuple(_token(one) for one in value["tokens"]),
            tuple(Grant(str(one["base"]), str(one["to"]), _right(one["right"])) for one in value["grants"]),
        )


def _token(one: Mapping[str, Any]) -> Token:
    bases, expires = one["bases"], str(one["expires"])
    if expires and datetime.fromisoformat(expires).tzinfo is None:
        raise ValueError(expires)
    return Token(
        str(one["id"]),
        str(one["user"]),
        str(one["sha256"]),
        str(one["label"]),
        str(one["created"]),
        expires,
        None if bases is None else tuple(map(str, bases)),
        _right(one["right"]),
    )


def _right(value: object) -> Right:
    for right in RIGHTS:
        if right == value:
            return right
    raise ValueError(value)


def _of_version_1(value: list[Any]) -> Register:
    """Everybody saw all knowledge bases; "full" might do everything in them."""
    entries = [(str(one["name"]), OLD_ROLES[one["role"]], str(one["sha256"])) for one in value]
    return Register(
        {name: () for name, _, _ in entries},
        tuple(Token(digest[:8], name, digest) for name, _, digest in entries),
        tuple(Grant(EVERY_BASE, f"user:{name}", right) for name, right, _ in entries),
    )


def token_digest(token: str) -> str:
    """SHA-256 as hex digits. Tokens are long and random, so a slow hash would add nothing."""
    return hashlib.sha256(token.strip().encode("utf-8", "replace")).hexdigest()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
