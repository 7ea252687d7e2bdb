"""The template of a prompt: text with placeholders for the parts that are filled in for each question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

PLACEHOLDERS = ("role", "rules", "passages", "task", "question")
REQUIRED = ("passages", "question")
DEFAULT = "{role}\n\n{rules}\n\n{passages}\n\n{task}\n{question}"


def placeholders(template: str) -> list[str]:
    """The names in braces, in order. Doubled braces are text.

    Raises:
        ValueError: a brace stands alone, or a placeholder has an index, an attribute, a conversion or a format.
    """
    found = []
    for _text, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ValueError(name)
        found.append(name)
    return found


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its values. Lines whose placeholders are all empty are left out."""
    lines = [line for line in template.strip().split("\n") if _says_something(line, values)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip().format_map(values)


def _says_something(line: str, values: Mapping[str, str]) -> bool:
    names = placeholders(line)
    return not names or any(values[name] for name in names)
