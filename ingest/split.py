"""Splits documents into pieces of limited length so that a small change of the text changes few pieces.

A run of blocks under one heading and on one page is a section. It consists of units (sentences of prose, lines of
code and tables) with boundaries between them. A boundary's rank is its kind (paragraphs before entries before
sentences before lines before clauses) and then a hash of the text around it. A section too long for one piece is
cut at its boundary of the lowest rank that leaves no scrap, and each half again.

The rank depends only on nearby text, so cuts stay where they are when text is added elsewhere, as in the
content-defined chunking of Muthitacharoen et al. (A Low-bandwidth Network File System, 2001). Cutting at lowest
rank first builds a treap (Seidel and Aragon, Randomized Search Trees, 1996), whose shape depends on the ranks and
not on the order of arrival: text added at the head changes only the pieces on its left spine.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import accumulate, pairwise

from ingest.readers.blocks import Block, Content
from kb_assistant.text.boundaries import (
    CLAUSE,
    FORCED,
    PARAGRAPH,
    WORD,
    cell_cuts,
    clause_cuts,
    cuts_of,
    ends_sentence,
    forced_cuts,
    is_list_item,
    word_cuts,
)

_VERSION = "blocks-5"
_LONGEST_TOKEN = 8  # characters; only a first guess for cutting text without any boundary
_CONTEXT = 64  # characters on each side of a boundary that its hash sees
_SHARE = 4  # divisor of a piece: each side of a cut has at least this part, and an overlap at most


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a document, unchanged. `lines` are its lines, if the reader knew them."""

    text: str
    heading: str
    page: int | None
    lines: tuple[int, int] | None
    slide: int | None = None
    sheet: str | None = None
    attachment: str | None = None


@dataclass(slots=True)
class _Unit:
    """Text from `start` to `end` of a section; `rank` is the kind of the boundary before it. `sentence` is True
    for a whole sentence of prose outside lists."""

    start: int
    end: int
    rank: int
    sentence: bool = False
    tokens: int = -1


@dataclass(slots=True)
class _Section:
    blocks: list[Block]
    text: str = ""
    starts: list[int] = field(default_factory=list)
    limit: int = 0
    units: list[_Unit] = field(default_factory=list)


class Splitter:
    """Splits contents into pieces of at most `chunk_tokens`.

    Args:
        count: Counts the tokens of each text, without the model's special tokens. It is called in batches.
        chunk_tokens: Longest piece, as the sum over its units. A tokenizer that needs more tokens for a text than
            for its parts would exceed it.
        overlap: Sentences of the piece before that a piece begins with, at most: whole ones of prose and of the
            same section, which together take no more than a quarter of `chunk_tokens`.
    """

    def __init__(self, count: Callable[[Sequence[str]], list[int]], chunk_tokens: int, overlap: int = 0) -> None:
        self._count = count
        self._limit = chunk_tokens
        self._overlap = overlap

    @property
    def fingerprint(self) -> str:
        """Changes when the same content would be split differently."""
        return f"{_VERSION}:{self._limit}{f':{self._overlap}' if self._overlap else ''}"

    def split(self, content: Content) -> list[Piece]:
        """Pieces in reading order. Together they contain all text except the white space between them, each part
        once except for the overlap; a piece that begins inside a table whose rows don't name their columns repeats
        the table's header."""
        sections = list(_sections(content.blocks))
        self._limit_all(sections)
        self._measure(sections)
        self._refine(sections, CLAUSE, cell_cuts)
        self._refine(sections, CLAUSE, clause_cuts)
        self._refine(sections, WORD, word_cuts)
        while self._refine(sections, FORCED, self._forced_cuts):
            pass
        return [piece for section in sections for piece in self._pieces(section)]

    def _limit_all(self, sections: list[_Section]) -> None:
        """Reserve room in pieces that will repeat their table's header; a header that is too long is dropped."""
        for section in sections:
            section.limit = self._limit
            headers = sorted({block.header for block in section.blocks if block.header})
            if headers:
                longest = max(self._count(headers))
                if longest <= self._limit // 2:
                    section.limit -= longest
                else:
                    section.blocks = [replace(block, header="") for block in section.blocks]

    def _measure(self, sections: list[_Section]) -> None:
        unknown = [
            (unit, section.text[unit.start : unit.end].strip())
            for section in sections
            for unit in section.units
            if unit.tokens < 0
        ]
        texts = list(dict.fromkeys(text for _, text in unknown))
        counts = dict(zip(texts, self._count(texts), strict=True))
        for unit, text in unknown:
            unit.tokens = counts[text]

    def _refine(self, sections: list[_Section], rank: int, cuts: Callable[[str], list[int]]) -> bool:
        """Cut the units that are too long at the offsets from `cuts`; False if there are none."""
        refined = False
        for section in sections:
            if all(unit.tokens <= section.limit for unit in section.units):
                continue
            units: list[_Unit] = []
            for unit in section.units:
                length = unit.end - unit.start
                inner = []
                if unit.tokens > section.limit:
                    inner = [cut for cut in cuts(section.text[unit.start : unit.end]) if 0 < cut < length]
                if not inner:
                    units.append(unit)
                    continue
                refined = True
                for first, last in pairwise([0, *inner, length]):
                    units.append(_Unit(unit.start + first, unit.start + last, rank if first else unit.rank))
            section.units = units
        if refined:
            self._measure(sections)
        return refined

    def _forced_cuts(self, text: str) -> list[int]:
        return forced_cuts(text, self._limit * _LONGEST_TOKEN)

    def _pieces(self, section: _Section) -> Iterator[Piece]:
        units = section.units
        before = list(accumulate((unit.tokens for unit in units), initial=0))
        breaks = [match.start() for match in re.finditer("\n", section.text)]
        tree = _Lowest(_ranks(section)) if before[-1] > section.limit else None
        limit = section.limit - (self._limit // _SHARE if self._overlap else 0)
        waiting, last = [(0, len(units))], -1
        while waiting:
            low, high = waiting.pop()
            if tree and before[high] - before[low] > limit and high - low > 1:
                cut = tree.where(*self._choices(before, low, high))
                waiting += [(cut, high), (low, cut)]
                continue
            room = min(self._limit // _SHARE, section.limit - (before[high] - before[low]))
            first = self._first(units, before, low, last, room)
            if piece := _piece(section, units[first].start, units[high - 1].end, breaks):
                yield piece
            last = low

    def _first(self, units: list[_Unit], before: list[int], low: int, last: int, room: int) -> int:
        """Position of the first unit of a piece whose own first is `low`: it repeats sentences of at most `room`
        tokens, and never all of the previous piece, whose own first unit is `last`."""
        first = low
        while (
            low - first < self._overlap
            and first - 1 > last
            and units[first - 1].sentence
            and before[low] - before[first - 1] <= room
        ):
            first -= 1
        return first

    def _choices(self, before: list[int], low: int, high: int) -> tuple[int, int]:
        """Range of the boundaries far enough from both ends: a quarter of a piece, less if there is none."""
        margin = self._limit // _SHARE
        while margin:
            first = bisect_left(before, before[low] + margin, low + 1, high)
            last = bisect_right(before, before[high] - margin, first, high)
            if first < last:
                return first, last
            margin //= 2
        return low + 1, high


class _Lowest:
    """Finds the lowest of a range of ranks in logarithmic time (a segment tree over their positions)."""

    def __init__(self, ranks: list[int]) -> None:
        self._ranks, self._size = ranks, len(ranks)
        self._tree = [0] * self._size + list(range(self._size))
        for node in range(self._size - 1, 0, -1):
            self._tree[node] = self._lower(self._tree[2 * node], self._tree[2 * node + 1])

    def where(self, first: int, end: int) -> int:
        """Position of the lowest rank from `first` up to, but not including, `end`."""
        best, first, end = first, first + self._size, end + self._size
        while first < end:
            if first & 1:
                best = self._lower(best, self._tree[first])
                first += 1
            if end & 1:
                end -= 1
                best = self._lower(best, self._tree[end])
            first //= 2
            end //= 2
        return best

    def _lower(self, one: int, other: int) -> int:
        return one if self._ranks[one] <= self._ranks[other] else other


def _ranks(section: _Section) -> list[int]:
    """Rank of the boundary before each unit. Equal boundaries are distinguished by counting from the end, which
    text added at the head doesn't change."""
    ranks = [0] * len(section.units)
    seen: Counter[str] = Counter()
    for place in range(len(ranks) - 1, 0, -1):
        last, unit = section.units[place - 1], section.units[place]
        left = section.text[max(last.start, last.end - _CONTEXT) : last.end].rstrip()
        context = f"{left}\0{section.text[unit.start : min(unit.end, unit.start + _CONTEXT)].rstrip()}"
        seen[context] += 1
        digest = blake2b(f"{context}\0{seen[context]}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        ranks[place] = unit.rank << 64 | int.from_bytes(digest, "big")
    return ranks


def _sections(blocks: Sequence[Block]) -> Iterator[_Section]:
    section: _Section | None = None
    for block in blocks:
        if section is None or _place(block) != _place(section.blocks[0]):
            if section:
                yield _with_units(section)
            section = _Section([])
        section.blocks.append(block)
    if section:
        yield _with_units(section)


def _place(block: Block) -> tuple[object, ...]:
    return block.heading, block.page, block.slide, block.sheet, block.attachment


def _with_units(section: _Section) -> _Section:
    section.text = "\n\n".join(block.text for block in section.blocks)
    start = 0
    for block in section.blocks:
        section.starts.append(start)
        end = start + len(block.text)
        cuts = [(0, PARAGRAPH), *cuts_of(block.text, block.kind)]
        ends = [*(start + offset for offset, _ in cuts[1:]), end]
        listed = False
        for (offset, rank), unit_end in zip(cuts, ends, strict=True):
            text = section.text[start + offset : unit_end]
            listed = is_list_item(text) or (listed and rank != PARAGRAPH)
            sentence = block.kind == "prose" and not listed and ends_sentence(text)
            section.units.append(_Unit(start + offset, unit_end, rank, sentence))
        start = end + 2
    return section


def _piece(section: _Section, start: int, end: int, breaks: list[int]) -> Piece | None:
    text = section.text[start:end]
    end = start + len(text.rstrip())
    first = bisect_right(section.starts, start) - 1
    body = text.lstrip() if section.blocks[first].kind == "prose" else re.sub(r"\A(?:[^\S\n]*\n)+", "", text)
    start += len(text) - len(body)
    if start >= end:
        return None
    last = bisect_right(section.starts, end - 1) - 1
    lines = None
    if (top := _lines(section, first, start, breaks)) and (bottom := _lines(section, last, end - 1, breaks)):
        lines = top[0], bottom[1]
    place = section.blocks[0]
    text, header = section.text[start:end], section.blocks[first].header
    if header and start > section.starts[first] + len(header):
        text = f"{header}\n{text}"
    return Piece(text, place.heading, place.page, lines, place.slide, place.sheet, place.attachment)


def _lines(section: _Section, index: int, offset: int, breaks: list[int]) -> tuple[int, int] | None:
    """The file's line of a character if its block has exact lines, else all lines of the block."""
    lines, start = section.blocks[index].lines, section.starts[index]
    if lines is None:
        return None
    first_break = bisect_left(breaks, start)
    height = bisect_left(breaks, start + len(section.blocks[index].text)) - first_break
    if lines[1] - lines[0] != height:
        return lines
    line = lines[0] + bisect_left(breaks, offset) - first_break
    return line, line
