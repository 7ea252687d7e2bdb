"""Messages for people: the English text together with the template and the values that it was made from.

A message is a `str`, so whatever handles texts handles messages, in English. Who wants another language calls
`translate`, which looks the template up in that language's gettext catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

DOMAIN = "kb_assistant"
LOCALE = Path(__file__).parent / "locale"

Value = str | int | float
"""Of a placeholder. A str may be a Message, which is translated with the message it stands in."""

_FULL_STOPS = ("。", "！", "？", "；")


class Message(str):
    """An English text that knows its template.

    Attributes:
        template: The text with its placeholders, "{path} is damaged."; the id under which catalogues hold it.
            Of joined messages, what stands between them.
        values: The placeholders' values by name; of joined messages, the messages.
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
    """The message that a template gives with these values. Babel finds the templates by this function's name.

    Args:
        template: As for `str.format`, with named placeholders; a literal brace is doubled.
        values: Numbers, messages and other texts stay what they are; of anything else its `str` counts.
    """
    kept = {name: value if isinstance(value, Value) else str(value) for name, value in values.items()}
    return Message(template.format(**kept), template, kept)


def join(messages: Iterable[str], between: str = " ") -> str:
    """The messages as one; empty ones are left out. `between` is " " or "; "."""
    parts = tuple(message for message in messages if message)
    if len(parts) < 2:
        return parts[0] if parts else ""
    return Message(between.join(parts), between, parts)


def strerror(error: OSError) -> Message:
    """What the system says of an error, such as "Permission denied"; catalogues hold the usual ones."""
    text = error.strerror or str(error)
    return Message(text, text, {})
