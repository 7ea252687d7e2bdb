"""Messages for people: the English text together with its template and values.

A message is a `str`, so all code that handles texts handles messages, in English. `translate` gives another
language: it looks the template up in that language's gettext catalogue.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gettext import NullTranslations

DOMAIN = "kb_assistant"
LOCALE = Path(__file__).parent / "locale"

Value = str | int | float
"""Value of a placeholder. A str may be a Message, which is translated with the message that contains it."""

_FOLDERS = re.compile(r"(?<![\w/.:~])~?/(?:[^/\s'\"“”]+/)+(?=[^/\s'\"“”])")
"""The folders of an absolute path within a text. Spaces end it: one with spaces must be a value by itself."""

_FULL_STOPS = ("。", "！", "？", "；")


class Message(str):
    """An English text with its template.

    Attributes:
        template: The text with its placeholders, "{path} is damaged."; its id in the catalogues.
            For joined messages, the separator.
        values: The placeholders' values by name; for joined messages, the messages.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, Value] | tuple[str, ...]

    def __new__(cls, text: str, template: str, values: Mapping[str, Value] | tuple[str, ...]) -> Message:
        message = super().__new__(cls, text)
        message.template, message.values = template, values
        return message

    def __reduce__(self) -> tuple[type[Message], tuple[Any, ...]]:
        return type(self), (str(self), self.template, self.values)


def _(template: str, /, **values: object) -> Message:
    """The message of a template with these values. Babel finds the templates by this function's name.

    Args:
        template: As for `str.format`, with named placeholders; a literal brace is doubled.
        values: Numbers, messages and other texts stay as they are. An error becomes its `reason_of`, anything
            else its `str`.
    """
    kept = {name: _value(value) for name, value in values.items()}
    return Message(template.format(**kept), template, kept)


def join(messages: Iterable[str], between: str = " ") -> str:
    """The messages joined, without empty ones. `between` is " ", or one of "; " and ", ", which drop a full stop
    before them."""
    parts = tuple(message for message in messages if message)
    if len(parts) < 2:
        return parts[0] if parts else ""
    *first, last = parts
    ended = [part.removesuffix(".") if between.strip() else part for part in first]
    return Message(between.join([*ended, last]), between, parts)


def reason_of(error: BaseException) -> str:
    """The text of an error; of an OSError without number and path: "Permission denied"."""
    said = error.args[0] if error.args else None
    if isinstance(said, Message):
        return said
    text = str(getattr(error, "strerror", None) or error)
    return _SYSTEM.get(text, text)


def translate(text: str, language: str) -> str:
    """A message in another language. Texts that aren't messages, or have no translation, stay as they are."""
    if not isinstance(text, Message):
        return text
    catalogue = _catalogue(language)
    if isinstance(text.values, tuple):
        return _joined([translate(part, language) for part in text.values], text.template, catalogue)
    template = catalogue.gettext(text.template)
    if template is text.template:  # gettext returns an unknown template unchanged
        return text
    values = {
        name: translate(value, language) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    try:
        return template.format(**values)
    except (KeyError, ValueError):  # values from an older version
        return text


def translate_words(text: str, language: str) -> str:
    """A text without values, such as the help of a command, in another language; as it is where there is none."""
    return _catalogue(language).gettext(text) if text else text


def language_here() -> str:
    """The language of the environment, such as "zh": the first of LANGUAGE, or else that of LC_ALL, LC_MESSAGES or
    LANG; "en" where these say nothing, or C."""
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "C")
    name = re.split(r"[._@]", locale)[0]
    if name in ("C", "POSIX"):
        return "en"
    return re.split(r"[:._@]", os.environ.get("LANGUAGE", ""))[0] or name


def here(text: str) -> str:
    """A message in the language of the environment; other texts stay as they are."""
    return translate(text, language_here()) if isinstance(text, Message) else text


def without_folders(text: str) -> str:
    """The message with names in place of absolute paths, for who isn't told of this machine's folders.

    >>> str(without_folders(_("{path} is damaged.", path="/home/ann/My plans/roof.md")))
    'roof.md is damaged.'
    >>> without_folders("no such file: '/srv/docs/a.md', see https://example.org/a/b")
    "no such file: 'a.md', see https://example.org/a/b"
    """
    if not isinstance(text, Message):
        whole = text.startswith(("/", "~/")) and "\n" not in text
        return PurePath(text).name if whole else _FOLDERS.sub("", text)
    if isinstance(text.values, tuple):
        return join([without_folders(part) for part in text.values], text.template)
    values = {
        name: without_folders(value) if isinstance(value, str) else value for name, value in text.values.items()
    }
    try:
        return Message(text.template.format(**values), text.template, values)
    except (KeyError, ValueError, IndexError):  # from a file that was altered
        return _FOLDERS.sub("", str(text))


def to_json(value: Any) -> Any:
    """The value with each message in it as an object: its text, its template as "id", its values."""
    match value:
        case Message():
            return {"text": str(value), "id": value.template, "values": to_json(value.values)}
        case Mapping():
            return {key: to_json(one) for key, one in value.items()}
        case list() | tuple():
            return [to_json(one) for one in value]
    return value


def from_json(value: dict[str, Any]) -> Any:
    """The message that `to_json` wrote, if the object is one; for `json.loads(…, object_hook=from_json)`.

    The object isn't trusted: the text is taken as it is, the id is only looked up.
    """
    if value.keys() != {"text", "id", "values"}:
        return value
    text, template, values = value["text"], value["id"], value["values"]
    if not (isinstance(text, str) and isinstance(template, str) and template):
        return value
    if isinstance(values, list) and values and all(isinstance(one, str) for one in values):
        return Message(text, template, tuple(values))
    if isinstance(values, dict) and all(isinstance(one, Value) for one in values.values()):
        return Message(text, template, values)
    return value


def _value(value: object) -> Value:
    if isinstance(value, BaseException):
        return reason_of(value)
    return value if isinstance(value, Value) else str(value)


def _joined(parts: list[str], between: str, catalogue: NullTranslations) -> str:
    """Parts in their language. No space follows a full-width stop, and none stands before a semicolon."""
    between = catalogue.gettext(between)
    joined = parts[0]
    for part in parts[1:]:
        if not between.strip():
            joined += part if joined.endswith(_FULL_STOPS) else between + part
        else:
            joined = joined.removesuffix("。") + between + part
    return joined


@cache
def _catalogue(language: str) -> NullTranslations:
    import gettext

    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)


_SYSTEM = {
    str(message): message
    for message in (
        _("; "),
        _(", "),
        _("Permission denied"),
        _("Operation not permitted"),
        _("No such file or directory"),
        _("Not a directory"),
        _("Is a directory"),
        _("File exists"),
        _("Directory not empty"),
        _("File name too long"),
        _("Too many levels of symbolic links"),
        _("Too many open files"),
        _("No space left on device"),
        _("Disk quota exceeded"),
        _("Read-only file system"),
        _("Input/output error"),
        _("Device or resource busy"),
        _("Cannot allocate memory"),
        _("Stale file handle"),
        _("Connection refused"),
        _("Connection timed out"),
        _("database disk image is malformed"),
        _("file is not a database"),
        _("disk I/O error"),
        _("database or disk is full"),
        _("database is locked"),
    )
}
"""Error texts of Linux and SQLite, and separators of messages."""
