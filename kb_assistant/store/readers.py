"""Who may read which sources of a knowledge base: rules for files, folders and documents, in a file of their own.

The rule of a source is that of its path, else of the nearest folder above; without one, whoever may read the
knowledge base reads it. Rules lie outside the store, so that a right is taken away at once, also during an ingest.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.messages import _
from kb_assistant.small_file import update_json
from kb_assistant.store.records import DOCUMENT_PREFIX

ANYONE = "anyone"
"""Everybody who has a valid token."""

LOCAL = "local"
"""The user of a page that only this machine can reach; no token is needed."""

_FILE = "readers.json"
_NAME = re.compile(r"\w[\w.@-]{0,63}")

Sees = Callable[[str], bool]
"""Whether the source with this path may be read."""


class Sighted:
    """What somebody sees who is meant by some names: called with a path, whether its source may be read."""

    def __init__(self, rules: Mapping[str, tuple[str, ...]], audience: Collection[str]) -> None:
        self._rules, self._means = rules, frozenset(audience) | {ANYONE}

    def __call__(self, path: str) -> bool:
        return not self._means.isdisjoint(_readers_of(self._rules, path))

    def is_told(self, text: str) -> bool:
        """Whether a text names nothing that mustn't be read: no path of a rule for others is in it."""
        plain = unicodedata.normalize("NFC", text)
        return all(path not in plain or not self._means.isdisjoint(to) for path, to in self._rules.items())


@dataclass(frozen=True, slots=True)
class ReaderRules:
    """The rules of one knowledge base.

    Attributes:
        rules: Paths with the readers of what is at and under them: "user:NAME", "group:NAME" or ANYONE.
    """

    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules)

    def readers_of(self, path: str) -> tuple[str, ...]:
        """Who may read a source."""
        return _readers_of(dict(self.rules), path)

    def seen_by(self, audience: Collection[str]) -> Sighted:
        """What somebody sees who is meant by these names."""
        return Sighted(dict(self.rules), audience)


def _readers_of(rules: Mapping[str, tuple[str, ...]], path: str) -> tuple[str, ...]:
    here = unicodedata.normalize("NFC", path)
    while here:
        if (found := rules.get(here)) is not None:
            return found
        above = here.rpartition(os.sep)[0]
        here = above or (os.sep if here.startswith(os.sep) and here != os.sep else "")
    return (ANYONE,)


def load_rules(folder: Path) -> ReaderRules:
    """The rules beside the store in this folder.

    Raises:
        StoreError: they are damaged: then nobody whom they may concern reads anything.
    """
    file = folder / _FILE
    try:
        return rules_of(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ReaderRules()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, error) from error


def rules_of(value: Any) -> ReaderRules:
    """The rules from their stored form.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it isn't theirs.
    """
    return ReaderRules(tuple(sorted(_rules(value).items())))


def set_readers(folder: Path, paths: Iterable[str], readers: Collection[str] | None) -> None:
    """Set who may read what is at and under these paths; None removes their rules.

    Args:
        paths: Absolute paths of files and folders, and names of documents with their prefix.
        readers: As in `ReaderRules`.

    Raises:
        SettingsError: a reader is neither a user nor a group, or there are none.
        StoreError: the rules are damaged, or can't be written.
    """
    file = folder / _FILE
    changed = changed_rules(paths, readers)
    if readers is None and not file.exists():
        return
    try:
        update_json(file, changed, what=_("the list of readers"), mode=0o600, indent=1)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, error) from error


def changed_rules(paths: Iterable[str], readers: Collection[str] | None) -> Callable[[Any], Any]:
    """Gives the stored rules, None for none, with those of paths changed as by `set_readers`, which says what it
    raises."""
    chosen = None if readers is None else list(dict.fromkeys(map(checked_grantee, readers)))
    if chosen == []:
        raise SettingsError(_("Nobody could read it."), _("Name its readers, or `anyone`."))
    places = [_key(path) for path in paths]

    def changed(value: Any) -> Any:
        rules = {} if value is None else _rules(value)
        for path in places:
            if chosen is None:
                rules.pop(path, None)
            else:
                rules[path] = tuple(chosen)
        return {"rules": {path: list(to) for path, to in sorted(rules.items())}}

    return changed


def rule_path(path: str | Path) -> str:
    """The path of a rule as sources have it: absolute, or a document's name with its prefix."""
    text = str(path)
    if text.startswith(DOCUMENT_PREFIX):
        return text
    return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 - links stay


def checked_name(name: str, *, of_group: bool = False) -> str:
    """The name of a user or a group.

    Raises:
        SettingsError: it can't be one.
    """
    if not _NAME.fullmatch(name) or name in (LOCAL, ANYONE):
        message = _("{name!r} can't name a group.", name=name) if of_group else (
            _("{name!r} can't name a user.", name=name)
        )  # fmt: skip
        raise SettingsError(message, _("Use up to 64 letters, digits, '.', '-', '@'."))
    return name


def checked_grantee(to: str) -> str:
    """ "user:NAME", "group:NAME" or ANYONE; a bare name is a user's.

    Raises:
        SettingsError: it is none of these.
    """
    if to == ANYONE:
        return to
    kind, colon, name = to.partition(":")
    if not colon:
        kind, name = "user", to
    if kind not in ("user", "group"):
        raise SettingsError(
            _("{to!r} is neither a user nor a group.", to=to), _("Write NAME, user:NAME, group:NAME or anyone.")
        )
    return f"{kind}:{checked_name(name, of_group=kind == 'group')}"


def _rules(value: Any) -> dict[str, tuple[str, ...]]:
    """The rules of a file that may have been edited by hand: a path in another normal form, or with a slash at its
    end, means the same. Where two mean the same, only who stands in both may read."""
    rules: dict[str, tuple[str, ...]] = {}
    for path, readers in value["rules"].items():
        key, given = _key(str(path)), tuple(map(str, readers))
        rules[key] = tuple(one for one in rules[key] if one in given) if key in rules else given
    return rules


def _key(path: str) -> str:
    """A path as rules know it."""
    plain = unicodedata.normalize("NFC", path)
    return plain.rstrip(os.sep) or plain[:1]


def _damaged(file: Path, error: Exception) -> StoreError:
    return StoreError(
        _("{path} can't be read: {reason}.", path=file, reason=error),
        _("Mend it, or delete it and say again who reads what."),
    )
