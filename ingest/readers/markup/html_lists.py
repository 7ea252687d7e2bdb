"""The marks before the items of HTML lists, as a browser shows them by their attributes (HTML Standard, 4.4.5 and
4.4.8). Style sheets aren't read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ingest.readers.numerals import numeral

_TYPES = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_STYLES = {
    "lower-alpha": "lowerLetter", "lower-latin": "lowerLetter", "upper-alpha": "upperLetter",
    "upper-latin": "upperLetter", "lower-roman": "lowerRoman", "upper-roman": "upperRoman",
    "decimal-leading-zero": "decimalZero", "cjk-decimal": "ideographDigital",
    "cjk-ideographic": "chineseCountingThousand", "simp-chinese-informal": "chineseCountingThousand",
    "trad-chinese-informal": "chineseCountingThousand", "simp-chinese-formal": "chineseLegalSimplified",
    "trad-chinese-formal": "ideographLegalTraditional", "japanese-informal": "japaneseCounting",
    "cjk-heavenly-stem": "ideographTraditional", "cjk-earthly-branch": "ideographZodiac", "none": "none",
    "disc": "none", "circle": "none", "square": "none",
}  # fmt: skip
_STYLE = re.compile(r"list-style(?:-type)?\s*:[^;]*?([a-z][a-z-]+)", re.IGNORECASE)


@dataclass(slots=True)
class HtmlList:
    """An open list and the number of its next item; `numbers` is the style of the numbers, "none" for bullets."""

    numbers: str = "none"
    count: int = 1
    step: int = 1

    @classmethod
    def of(cls, node: Any) -> HtmlList:
        """A list as its start tag says."""
        if node.tag != "ol":
            return cls()
        step = -1 if node.get("reversed") is not None else 1
        first = _number(node.get("start"))
        if first is None:
            first = 1 if step > 0 else sum(child.tag == "li" for child in node)
        return cls(_numbers(node) or "decimal", first, step)

    def mark(self, item: Any, bullet: str = "-") -> str:
        """The mark of the next item, such as "iv."."""
        said = _number(item.get("value"))
        count = self.count if said is None else said
        self.count = count + self.step
        numbers = _numbers(item) or self.numbers
        return bullet if numbers == "none" else f"{numeral(count, numbers)}."


def _numbers(node: Any) -> str:
    """The style of numbers that an element says; "" if it doesn't."""
    style = _STYLE.search(node.get("style") or "")
    said = _STYLES.get(style[1].lower(), "") if style else ""
    return said or _TYPES.get(node.get("type") or "", "")


def _number(said: str | None) -> int | None:
    return int(said) if said and re.fullmatch(r"-?[0-9]{1,5}", said.strip()) else None
