"""Which of a record's values name it, among the records around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LONGEST_ROW = 400  # characters; a longer record takes several lines, each with its names
_LONGEST_NAME = 80  # of a value that names a record
LONGEST_KEY = 200  # a question of a survey may be one
_MOST_PARENTS = 5
_NAMING = (
    "name full_name fullname title label display_name displayname id code key number no sku slug uid uuid "
    "名称 姓名 标题 编号 代码 名稱 標題 編號"
).split()
_NAME_ENDS = ("name", "id", "no", "号", "名", "名称", "号码", "號", "名稱")
_SAYS_NOTHING = frozenset(
    "version schema $schema type kind format encoding generated generator created updated modified date timestamp "
    "status count total page pages size language lang copyright license success ok error message url href".split()
)


class Pair(NamedTuple):
    """A value under its name; a name alone, such as the key of a record, has no `name`."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.name else self.value


def cut(key: str) -> str:
    """A key as it stands in paths and names: rows repeat it, so it is bounded."""
    return key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 1].rstrip()}…"


def with_names(parents: tuple[Pair, ...], names: Sequence[Pair]) -> tuple[Pair, ...]:
    """The innermost names, at most a row's length of them; always the last one."""
    kept: list[Pair] = []
    room = LONGEST_ROW
    for pair in reversed((*parents, *names)[-_MOST_PARENTS:]):
        room -= len(str(pair))
        if kept and room < 0:
            break
        kept.append(pair)
    return tuple(reversed(kept))


def names_of(pairs: Sequence[Pair], key: str, always: bool = False) -> list[Pair]:
    """The pairs that name a record: `plant` among `plants`, else its name or number, else its first words; with
    `always` its first value if there is nothing better."""
    own = [pair for pair in pairs if "." not in pair.name and len(pair.value) <= _LONGEST_NAME]
    for pair in own:
        if len(pair.name) > 2 and key.lower().startswith(pair.name.lower()[:-1]):
            return [pair]
    naming = {pair.name.lower(): pair for pair in reversed(own)}
    for name in _NAMING:
        if name in naming:
            return [Pair(cut(key) or naming[name].name, naming[name].value)]
    telling = [pair for pair in own if pair.name.lower() not in _SAYS_NOTHING]
    for pair in telling:
        if pair.name.lower().endswith(_NAME_ENDS):
            return [pair]
    word = next((place for place, pair in enumerate(telling) if _is_word(pair.value)), None)
    if word is not None:  # what stands before the first word may be a number that counts, such as an order's
        return [*telling[: min(word, 1)], telling[word]]
    return telling[:1] or (own[:1] if always else [])


def _is_word(value: str) -> bool:
    return any(map(str.isalpha, value)) and value not in ("true", "false")
