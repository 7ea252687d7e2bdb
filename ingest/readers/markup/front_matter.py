"""The front matter of a text file: YAML between `---`, TOML between `+++`. It becomes metadata."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from ingest.readers.blocks import HEADING_CHARS, one_line

_KEY = re.compile(r"[\w\"'-]+[ \t]*:(?:\s|$)")
_MOST_CHARS = 50_000
_LISTS = ("tags", "keywords", "categories")


def front_matter(lines: list[str]) -> tuple[dict[str, Any], int]:
    """The front matter's values, and the index of the first line after it; nothing and 0 if there is none."""
    fence = lines[0].rstrip()
    if fence not in ("---", "+++"):
        return {}, 0
    ends = ("---", "...") if fence == "---" else ("+++",)
    end = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() in ends), 0)
    head = [line for line in lines[1:end] if line.strip() and not line.startswith("#")]
    # Two rules with prose between them look the same, except for the first line.
    if not end or (fence == "---" and head and not _KEY.match(head[0])):
        return {}, 0
    return metadata_of(_parsed("\n".join(lines[1:end]), fence)), end + 1


def _parsed(text: str, fence: str) -> Mapping[str, Any]:
    if len(text) > _MOST_CHARS:
        return {}
    if fence == "+++":
        try:
            return tomllib.loads(text)
        except ValueError:
            return {}
    import yaml

    try:
        said = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return _line_by_line(text)
    return said if isinstance(said, dict) else {}


def _line_by_line(text: str) -> dict[str, str]:
    """`name: value` lines that aren't valid YAML, such as a title with a colon."""
    pairs = (line.partition(":") for line in text.split("\n") if _KEY.match(line))
    return {key.strip(" \"'"): value.strip().strip("\"'") for key, _, value in pairs if value.strip()}


def metadata_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """Values and lists of values by lower-case name: dates as 2024-05-31, tags always a list."""
    found: dict[str, Any] = {}
    for key, value in said.items():
        name = str(key).lower()
        if isinstance(value, list):
            value = [_json_value(one) for one in value if not isinstance(one, dict | list)]
        elif isinstance(value, dict):
            continue
        elif name in _LISTS and isinstance(value, str):
            value = [tag for one in re.split("[,，;；、]", value) if (tag := one_line(one))]
        else:
            value = _json_value(value)
        if value not in (None, "", []):
            found[name] = value
    return found


def title_of(metadata: Mapping[str, Any]) -> str:
    return one_line(str(metadata.get("title", "")))[:HEADING_CHARS].rstrip()


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
