"""Who may use a home that others can reach: users with groups, tokens, stored as hashes alone, and grants.

Every change is one replacement of one small file of the home (store.home), so that a kill leaves the old state or
the new one, and every check looks at that file: what is taken away is gone with the next request, also on other
machines.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import KBError, SettingsError, StoreError
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store.home import HomeStore, SmallFile, update_json
from kb_assistant.store.local_home import LocalHome
from kb_assistant.store.opening import open_home
from kb_assistant.workspace.register import OLD_ROLES, Register, Token, now, token_digest
from kb_assistant.workspace.rights import (
    EVERY_BASE,
    LOCAL,
    LOCAL_USER,
    Grant,
    Principal,
    Right,
    checked_name,
)
from kb_assistant.workspace.shared_sessions import SharedSessions

__all__ = ["LOCAL", "Access", "User", "token_digest"]

Role = Literal["full", "read"]

PREFIX = "kb_"
ID_CHARACTERS = 8
USES_EVERY = timedelta(minutes=1)
"""How precisely the last use of a token is kept."""

FILE = "access.json"
USES = "token-uses.json"
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no characters that are read for another


@dataclass(frozen=True, slots=True)
class User:
    """A user, with the role that earlier versions knew: "full" may change something, "read" may only ask."""

    name: str
    role: Role

    @property
    def may_write(self) -> bool:
        return self.role == "full"


class Access:
    """The users of one home.

    Args:
        home: What the home keeps; or its folder on this machine.
    """

    def __init__(self, home: HomeStore | Path) -> None:
        self._home: HomeStore = LocalHome(home) if isinstance(home, Path) else home
        self._seen: dict[str, datetime] = {}
        self._read: tuple[SmallFile, Register] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """The users of the settings' home."""
        return cls(open_home(settings.store, settings.home))

    @property
    def sessions(self) -> SharedSessions | None:
        """Where signed-in sessions are kept that several machines know; None on one machine."""
        return SharedSessions(self._home) if self._home.is_shared else None

    @property
    def file(self) -> Path | str:
        """Where they lie: a file, or an address without a password."""
        return self._home.place_of(FILE)

    def register(self) -> Register:
        """The current state. The file is read again once it is another one: each change replaces it.

        Raises:
            StoreError: the file is damaged.
        """
        read = self._read
        try:
            now = self._home.text(FILE, read and read[0])
            if now is None:
                return Register()
            if read is None or now is not read[0]:
                self._read = read = now, Register.from_json(json.loads(now.text))
            return read[1]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(error) from error

    def principal(self, token: str) -> Principal | None:
        """Who uses this token; None if it is wrong or has expired. Takes the same time for every token, however
        much of it is right.

        Raises:
            StoreError: the file is damaged.
        """
        return self.principal_of_digest(token_digest(token))

    def principal_of_digest(self, digest: str) -> Principal | None:
        """Who uses the token with this digest now, in the same constant time."""
        register, found = self.register(), None
        for token in register.tokens:
            if hmac.compare_digest(digest, token.sha256):
                found = token
        if found is None or found.is_expired(datetime.now(UTC)):
            return None
        self._used(found.id)
        return register.principal(found)

    def user(self, name: str) -> Principal | None:
        """A user with all its rights, or this machine's; None if there is none of this name.

        Raises:
            StoreError: the file is damaged.
        """
        if name == LOCAL:
            return LOCAL_USER
        register = self.register()
        return register.user(name) if name in register.users else None

    def new_token(
        self,
        user: str,
        label: str = "",
        *,
        expires: datetime | None = None,
        bases: Collection[str] | None = None,
        right: Right = "manage",
    ) -> str:
        """Make a token for a known user; an earlier one with the same label becomes invalid. Returns the token,
        which is stored nowhere.

        Args:
            expires: With a time zone; None for never.
            bases: Limits it to these knowledge bases.
            right: The widest right it carries; never wider than the user's own.

        Raises:
            SettingsError: there is no such user.
        """
        token = _new_token()
        until = "" if expires is None else expires.astimezone(UTC).isoformat(timespec="seconds")
        made = Token(
            token[: len(PREFIX) + ID_CHARACTERS],
            user,
            token_digest(token),
            label,
            now(),
            until,
            None if bases is None else tuple(sorted(bases)),
            right,
        )

        def change(register: Register) -> Register:
            _expect_user(register, user)
            others = [one for one in register.tokens if (one.user, one.label) != (user, label)]
            return replace(register, tokens=(*others, made))

        self._update(change)
        return token

    def revoke(self, token_id: str) -> bool:
        """Make a token invalid. Returns whether there was one of this id."""
        return self._drop_tokens(lambda one: one.id == token_id)

    def put_user(self, name: str, groups: Iterable[str] | None = None) -> None:
        """Create a user, or set its groups; None leaves them as they are.

        Raises:
            SettingsError: a name isn't valid.
        """
        checked_name(name)
        given = None if groups is None else [checked_name(one, of_group=True) for one in dict.fromkeys(groups)]

        def change(register: Register) -> Register:
            kept = register.users.get(name, ()) if given is None else tuple(given)
            return replace(register, users={**register.users, name: kept})

        self._update(change)

    def remove_user(self, name: str) -> bool:
        """Delete a user, with its tokens and what was granted to it. Returns whether there was one."""
        if name not in self.register().users:
            return False
        self._update(
            lambda register: Register(
                {user: groups for user, groups in register.users.items() if user != name},
                tuple(one for one in register.tokens if one.user != name),
                tuple(one for one in register.grants if one.to != f"user:{name}"),
            )
        )
        return True

    def grant(self, base: str, to: str, right: Right) -> None:
        """Give a right, instead of the one that `to` has on this knowledge base. See `Grant`."""
        made = Grant(base, to, right)

        def change(register: Register) -> Register:
            if to.startswith("user:"):
                _expect_user(register, to.removeprefix("user:"))
            others = [one for one in register.grants if (one.base, one.to) != (base, to)]
            return replace(register, grants=(*others, made))

        self._update(change)

    def withdraw(self, base: str, to: str) -> bool:
        """Take back what was granted. Returns whether there was something."""
        found = any((one.base, one.to) == (base, to) for one in self.register().grants)
        if found:
            self._update(
                lambda register: replace(
                    register, grants=tuple(one for one in register.grants if (one.base, one.to) != (base, to))
                )
            )
        return found

    def base_renamed(self, old: str, new: str) -> None:
        """Let what holds for a knowledge base hold for its new name; what held for that name before is gone."""

        def change(register: Register) -> Register:
            kept = _without_base(register, new)
            tokens = (
                one if one.bases is None else replace(one, bases=tuple(new if b == old else b for b in one.bases))
                for one in kept.tokens
            )
            grants = (replace(one, base=new) if one.base == old else one for one in kept.grants)
            return replace(kept, tokens=tuple(tokens), grants=tuple(grants))

        self._update_if_any(change)

    def base_gone(self, name: str) -> None:
        """Forget what was granted on a knowledge base: a later one of its name begins without."""
        self._update_if_any(lambda register: _without_base(register, name))

    def last_uses(self) -> dict[str, str]:
        """When tokens were last used, by id: ISO 8601 in UTC, to the minute."""
        try:
            uses = self._home.text(USES)
            found = json.loads(uses.text) if uses else {}
            return {str(id_): str(when) for id_, when in found.items()}
        except (KBError, OSError, ValueError, AttributeError):
            return {}

    # What earlier versions knew: each user has one token, and a role for all knowledge bases.

    def users(self) -> list[User]:
        """All users with a token, by name.

        Raises:
            StoreError: the file is damaged.
        """
        register = self.register()
        return [_user(register, name) for name in sorted({token.user for token in register.tokens})]

    def check(self, token: str) -> User | None:
        """The user of a token, as `principal`; None also for one that may not read everything: who asks here is
        given all knowledge bases with all their documents."""
        return self._as_user(self.principal(token))

    def user_of_digest(self, digest: str) -> User | None:
        """The same for a token with this digest."""
        return self._as_user(self.principal_of_digest(digest))

    def _as_user(self, principal: Principal | None) -> User | None:
        if principal is None or not principal.may("read", EVERY_BASE) or principal.bases is not None:
            return None
        if not principal.is_admin and self._has_rules():
            return None
        return User(principal.name, "full" if principal.is_admin else "read")

    def _has_rules(self) -> bool:
        """Whether there may be rules who reads which document; on a server another machine may have made them."""
        if not isinstance(self._home, LocalHome):
            return True
        home = self._home.folder
        return any((home / "kbs").glob("*/readers.json")) or Settings.load(home=home).store != "sqlite"

    def add(self, name: str, role: Role = "full") -> str:
        """Create a user with one token and a right on all knowledge bases; its earlier tokens become invalid.
        Returns the token, which is stored nowhere.

        Raises:
            SettingsError: the name isn't valid.
        """
        self.put_user(name)
        self.grant(EVERY_BASE, f"user:{name}", OLD_ROLES[role])
        self._drop_tokens(lambda one: one.user == name)
        return self.new_token(name)

    def remove(self, name: str) -> bool:
        """Revoke a user's tokens. Returns whether there was one."""
        return self._drop_tokens(lambda one: one.user == name)

    def _drop_tokens(self, which: Callable[[Token], bool]) -> bool:
        found = any(which(one) for one in self.register().tokens)
        if found:
            self._update(
                lambda register: replace(register, tokens=tuple(one for one in register.tokens if not which(one)))
            )
        return found

    def _used(self, token: str) -> None:
        """Keep the time of use, best effort and rarely: asking must not wait for the disk."""
        when = datetime.now(UTC)
        if (last := self._seen.get(token)) is not None and when - last < USES_EVERY:
            return
        self._seen[token] = when
        with suppress(KBError, ValueError):
            update_json(
                self._home,
                USES,
                lambda before: {**(before or {}), token: when.isoformat(timespec="minutes")},
                what=_("the list of tokens' uses"),
                mode=0o600,
            )

    def _update_if_any(self, change: Callable[[Register], Register]) -> None:
        if self._home.text(FILE) is not None:
            self._update(change)

    def _update(self, change: Callable[[Register], Register]) -> None:
        def changed(value: Any) -> Any:
            return change(Register() if value is None else Register.from_json(value)).to_json()

        try:
            update_json(self._home, FILE, changed, what=_("the list of users"), mode=0o600, indent=1)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(
            _("{path} can't be read: {reason}.", path=self.file, reason=error),
            _("Delete it and add the users again."),
        )


def _new_token() -> str:
    id_ = "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARACTERS))
    return f"{PREFIX}{id_}_{secrets.token_urlsafe(32)}"


def _expect_user(register: Register, name: str) -> None:
    if name not in register.users:
        raise SettingsError(_("There is no user {name!r}.", name=name), _("Add one with `kb user add NAME`."))


def _without_base(register: Register, name: str) -> Register:
    """The register without grants on a knowledge base, and without tokens' limits to it."""
    tokens = (
        one if one.bases is None else replace(one, bases=tuple(base for base in one.bases if base != name))
        for one in register.tokens
    )
    grants = tuple(one for one in register.grants if one.base != name)
    return replace(register, tokens=tuple(tokens), grants=grants)


def _user(register: Register, name: str) -> User:
    writes = any(right != "read" for right in register.rights_of(name).values())
    return User(name, "full" if writes else "read")
