"""Cards: tables whose rows are names and their values, `Phone: 555-123`, not records below names of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ingest.readers.table_cells import LONGEST_LABEL, Cell, Kind, Row, bare_label, is_strong, value_of, year_of
from ingest.readers.table_words import FIELD_NAMES

_MOST_CARD_ROWS = 100


def pairs(row: Row) -> list[tuple[Cell, Cell]]:
    """The names and values of a card's row."""
    cells = [cell for cell in row if cell.text and cell.first]
    return list(zip(cells[::2], cells[1::2], strict=False))


def is_card(rows: Sequence[Row]) -> bool:
    """Whether each row is a name and its value, rather than a record below names of columns. Told by colons, by
    names in bold, by values of many kinds, and by words that name fields everywhere."""
    if not 2 <= len(rows) <= _MOST_CARD_ROWS or (is_strong(rows[0]) and not is_strong(rows[1])):
        return False
    counts = [sum(bool(cell.text and cell.first) for cell in row) for row in rows]
    even = [pairs(row) for row, count in zip(rows, counts, strict=True) if count and count % 2 == 0]
    if len(even) < 2 or len(even) < 0.75 * sum(count > 1 for count in counts):
        return False
    said = [pair for row in even for pair in row]
    labels = [label.text for label, _ in said]
    if (
        max(map(len, labels)) > LONGEST_LABEL
        or len(set(labels)) < len(labels)
        or any(value_of(label).kind is not Kind.TEXT for label, _ in said)
    ):
        return False
    return _says_card(said, is_wide=max(map(len, even)) > 1)


def _says_card(said: Sequence[tuple[Cell, Cell]], is_wide: bool) -> bool:
    """Whether labels and values of two columns, or of pairs of columns side by side, belong together by rows."""
    count = len(said)
    if sum(label.text.endswith((":", "：")) for label, _ in said) > count / 2:
        return True
    if sum(label.strong and not value.strong for label, value in said) >= 0.8 * count:
        return True
    known = sum(bare_label(label.text) in FIELD_NAMES for label, _ in said)
    if known >= max(2, 0.4 * count) and (
        not is_wide or not any(bare_label(v.text) in FIELD_NAMES for _, v in said)
    ):
        return True
    if is_wide:
        return False
    (_, first), *others = said
    kinds = Counter(value_of(value).kind for _, value in others if value.text)
    units = {value_of(value).unit for _, value in others if value_of(value).kind is Kind.NUMBER}
    if value_of(first).kind in (Kind.NUMBER, Kind.DATE):
        is_year = year_of(first.text) is not None
        return not is_year or len(kinds) > 1 or bare_label(said[0][0].text) in ("year", "年份", "年度", "年")
    if bare_label(first.text) in FIELD_NAMES:
        return False
    if len(others) >= 2 and (len(units) > 1 or _is_sentence(first.text)):
        return True
    return len(others) >= 3 and kinds[Kind.TEXT] >= 0.5 * len(others) and kinds[Kind.TEXT] <= 0.75 * len(others)


def _is_sentence(text: str) -> bool:
    return len(text) > LONGEST_LABEL or "@" in text or "://" in text
