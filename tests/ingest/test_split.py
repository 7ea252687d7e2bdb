"""The splitter: nothing is lost, nothing is too long, and a small change of a text changes few pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers import read
from ingest.readers.blocks import Block, Content
from ingest.split import Piece, Splitter
from kb_assistant.retrieval.passages import repeated
from kb_assistant.text.boundaries import ENTRY, PARAGRAPH, SENTENCE, cuts_of, forced_cuts
from kb_assistant.types import BlockKind
from tests.waiting import ProcessorTime

TOKEN = re.compile(r"[一-鿿]|[^\W一-鿿]{1,6}|[^\w\s]")


def count(texts: Sequence[str]) -> list[int]:
    """A Chinese character is a token, so are six letters of a word and a mark."""
    return [len(TOKEN.findall(text)) for text in texts]


def split(text: str, limit: int, kind: BlockKind = "prose", overlap: int = 0) -> list[Piece]:
    block = Block(text, kind, lines=(1, text.count("\n") + 1))
    return Splitter(count, limit, overlap).split(Content("", (block,)))


def bare(*texts: str) -> str:
    return re.sub(r"\s+", "", "".join(texts))


def places(parts: Sequence[Piece | Block]) -> list[tuple[str, int | None]]:
    """Headings and pages in the order they come, each run once."""
    return [place for place, _ in groupby((part.heading, part.page) for part in parts)]


WORDS = st.sampled_from(
    (
        '水泵|维护周期三个月|。|！”|，|；|pump|Dr.|e.g.|3.14|ends.|why?|"so."| |\n|\n\n|\n- |......|e\u0301|'
        + "supercalifragilisticexpialidocious" * 3
    ).split("|")
)
TEXTS = st.lists(WORDS, max_size=60).map("".join).filter(lambda text: bool(text.strip()))
BLOCKS = st.lists(
    st.builds(
        Block,
        TEXTS,
        st.sampled_from(["prose", "code", "table"]),
        st.sampled_from([None, 1, 2]),
        st.none(),
        st.sampled_from(["", "A"]),
    ),
    max_size=5,
)


@given(BLOCKS, st.integers(4, 40))
@settings(max_examples=200, deadline=None)
def test_all_text_is_kept_in_order_and_no_piece_is_too_long(blocks: list[Block], limit: int) -> None:
    content = Content("", tuple(blocks))
    pieces = Splitter(count, limit).split(content)
    assert bare(*(piece.text for piece in pieces)) == bare(*(block.text for block in blocks))
    assert all(tokens <= limit for tokens in count([piece.text for piece in pieces]))
    assert all(piece.text.strip() and piece.text == piece.text.rstrip() for piece in pieces)
    assert places(pieces) == places(blocks)
    assert pieces == Splitter(count, limit).split(content)


LINES = st.lists(
    st.sampled_from(
        ("# 泵/## Part/水泵要维护。三个月一次，不能忘！/One. Another one.//```/x = 1/| a | b |/- one").split("/")
    ),
    max_size=40,
)


@given(LINES, st.integers(4, 30), st.sampled_from(["a.md", "a.txt"]))
@settings(max_examples=200, deadline=None)
def test_lines_hold_the_first_and_last_words_of_a_piece(lines: list[str], limit: int, name: str) -> None:
    content = read(name, "\n".join(lines).encode())
    for piece in Splitter(count, limit).split(content):
        assert piece.lines is not None
        first, last = piece.lines
        assert piece.text.split("\n")[0] in lines[first - 1] or "#" in lines[first - 1]
        assert piece.text.split("\n")[-1] in lines[last - 1] or "#" in lines[last - 1]


@st.composite
def numbered_blocks(draw: st.DrawFn) -> tuple[Block, ...]:
    """Blocks of sentences, items and lines of which no two are alike, because each bears a number."""
    stems = ["水泵停了", "The pump runs, and runs", "- Part", "Title", "supercali" * 12, "甲乙丙丁戊，" * 4]
    ends = ["。", "！”", ".", "?", ".\n\n", "\n\n", ".\n", "\n"]
    kinds: list[BlockKind] = ["prose", "prose", "prose", "code", "table"]
    drawn = draw(st.lists(st.tuples(st.sampled_from(stems), st.sampled_from(ends)), min_size=1, max_size=60))
    texts = [f"{stem} {number}{end}" for number, (stem, end) in enumerate(drawn)]
    texts = [text if text[-1] in "\n。”" else f"{text} " for text in texts]
    size = draw(st.integers(3, 30))
    return tuple(
        Block(
            "".join(texts[start : start + size]).strip(),
            draw(st.sampled_from(kinds)),
            draw(st.just(1) | st.just(2)),
        )
        for start in range(0, len(texts), size)
    )


@given(numbered_blocks(), st.integers(8, 60), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_with_overlap_only_whole_sentences_of_the_piece_before_are_repeated(
    blocks: tuple[Block, ...], limit: int, overlap: int
) -> None:
    pieces = Splitter(count, limit, overlap).split(Content("", blocks))
    assert all(tokens <= limit for tokens in count([piece.text for piece in pieces]))
    prose = [block.text for block in blocks if block.kind == "prose"]
    rest = [pieces[0].text]
    for one, other in pairwise(pieces):
        both = repeated(one.text, other.text)
        rest.append(other.text.removeprefix(both))
        if both:
            assert one.page == other.page
            sentences = re.findall(r".+?\d(?:。|！”|[.?])\s*", both, re.DOTALL)
            assert "".join(sentences) == both, "each ends with a stop"
            assert len(sentences) <= overlap
            assert all(any(sentence.strip() in text for text in prose) for sentence in sentences)
            assert not re.search(r"^- |\d\n\n", both, re.MULTILINE), "no item, no paragraph without a stop"
            assert count([both])[0] <= limit // 4
    assert bare(*rest) == bare(*(block.text for block in blocks)), "nothing is lost, and no more is repeated"
    assert places(pieces) == places(blocks)


@given(BLOCKS, st.integers(4, 40), st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_with_overlap_no_piece_is_too_long_and_no_section_is_left(
    blocks: list[Block], limit: int, overlap: int
) -> None:
    content = Content("", tuple(blocks))
    pieces = Splitter(count, limit, overlap).split(content)
    assert all(tokens <= limit for tokens in count([piece.text for piece in pieces]))
    assert places(pieces) == places(blocks)
    assert all(piece.text.strip() and piece.text == piece.text.rstrip() for piece in pieces)
    assert set(bare(*(block.text for block in blocks))) == set(bare(*(piece.text for piece in pieces)))


SENTENCES = "".join(f"第{number}台水泵停了。" for number in "甲乙丙丁戊己庚辛壬癸")


@pytest.mark.parametrize(
    ("limit", "overlap", "held"), [(36, 1, 1), (36, 3, 1), (72, 1, 1), (72, 2, 2), (72, 3, 2)]
)
def test_pieces_begin_with_the_last_sentences_of_those_before(limit: int, overlap: int, held: int) -> None:
    """Each sentence has eight tokens: one fits a quarter of 36, two that of 72."""
    pieces = [piece.text for piece in split(SENTENCES, limit, overlap=overlap)]
    assert len(pieces) > 1
    for one, other in pairwise(pieces):
        assert repeated(one, other) == one[-8 * held :] == other[: 8 * held]


def test_what_need_not_be_cut_is_whole_with_overlap_too() -> None:
    assert [piece.text for piece in split(SENTENCES, 80, overlap=3)] == [SENTENCES]


def test_an_overlap_stands_in_the_lines_of_its_piece() -> None:
    lines = [f"Pump {number} stopped." for number in range(20)]
    pieces = split("\n".join(lines), 24, overlap=1)
    assert len(pieces) > 3
    for one, other in pairwise(pieces):
        assert one.lines
        assert other.lines
        assert other.lines[0] == one.lines[1]
        assert one.text.split("\n")[-1] == other.text.split("\n")[0] == lines[other.lines[0] - 1]


@pytest.mark.parametrize("kind", ["list", "headings", "table", "code", "wrapped list"])
def test_only_prose_is_repeated(kind: str) -> None:
    form = {
        "list": "- Pump {} stopped.",
        "headings": "Pump {} stopped\n",
        "table": "| Pump {} stopped. |",
        "code": "# Pump {} stopped.",
        "wrapped list": "- Pump {} stopped. Nobody\n  saw it. It rained.",
    }[kind]
    text = "\n".join(form.format(number) for number in range(40))
    kinds: dict[str, BlockKind] = {"table": "table", "code": "code"}
    pieces = split(text, 40, kinds.get(kind, "prose"), overlap=3)
    assert len(pieces) > 3
    assert bare(*(piece.text for piece in pieces)) == bare(text)


def test_sections_begin_with_nothing_of_each_other() -> None:
    blocks = tuple(Block(SENTENCES, page=page) for page in (1, 2, 3))
    pieces = Splitter(count, 28, 2).split(Content("", blocks))
    assert len(pieces) > 3
    for _, of_page in groupby(pieces, key=lambda piece: piece.page):
        assert next(of_page).text.startswith(SENTENCES[:8])


@given(st.integers(0, 10_000), st.sampled_from(["\n\n", "\n"]), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_text_added_at_the_head_changes_few_pieces(seed: int, gap: str, overlap: int) -> None:
    paragraphs = [
        f"第{seed + i}台水泵在{i * 7 % 31}号检修。记录编号是 R{seed * i % 997}，由{'甲乙丙丁'[i % 4]}班负责。"
        * (1 + i % 3)
        for i in range(100)
    ]
    longer = ["新加的一段话，放在最前面。它不长。", *paragraphs]
    before = {piece.text for piece in split(gap.join(paragraphs), 128, overlap=overlap)}
    after = {piece.text for piece in split(gap.join(longer), 128, overlap=overlap)}
    assert len(before) > 15
    assert len(before - after) <= 3
    assert len(after - before) <= 4


@given(st.integers(1, 98), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_text_changed_in_the_middle_changes_few_pieces(place: int, overlap: int) -> None:
    paragraphs = [
        f"Pump number {i} was seen on day {i * 7 % 31}. Its record is R{i * i % 997}." for i in range(100)
    ]
    before = {piece.text for piece in split("\n\n".join(paragraphs), 96, overlap=overlap)}
    paragraphs[place] = "This paragraph was rewritten. It says something else now."
    after = {piece.text for piece in split("\n\n".join(paragraphs), 96, overlap=overlap)}
    assert len(before - after) <= 6


def test_a_long_markdown_table_bears_its_header_in_every_piece() -> None:
    rows = "\n".join(f"| pump {number} | {number * 7} |" for number in range(40))
    content = read("a.md", f"# Prices\n\n| Item | Price |\n| --- | --- |\n{rows}\n".encode())
    pieces = Splitter(count, 60).split(content)
    assert len(pieces) > 3
    assert all(piece.text.startswith("| Item | Price |\n| --- | --- |\n| pump") for piece in pieces)
    assert all(tokens <= 60 for tokens in count([piece.text for piece in pieces]))
    found = [line for piece in pieces for line in piece.text.split("\n")[2:]]
    assert found == rows.split("\n")


def test_a_row_that_names_its_columns_is_never_cut() -> None:
    lines = "\n".join(f"Item: pump {number} | Price: {number * 7}" for number in range(40))
    pieces = split(lines, 40, "table")
    assert [line for piece in pieces for line in piece.text.split("\n")] == lines.split("\n")


def test_slides_and_sheets_are_sections_of_their_own() -> None:
    blocks = (
        Block("one", slide=1),
        Block("two", slide=2),
        Block("three", sheet="S"),
        Block("four", attachment="a"),
    )
    pieces = Splitter(count, 60).split(Content("", blocks))
    assert [(piece.slide, piece.sheet, piece.attachment) for piece in pieces] == [
        (1, None, None),
        (2, None, None),
        (None, "S", None),
        (None, None, "a"),
    ]


def test_chinese_pieces() -> None:
    text = "水泵每三个月检修一次。他说：“先关阀门！”然后再拆盖板；密封圈要换新的。\n\n负责人是王工……电话是8021。"
    assert [piece.text for piece in split(text, 100)] == [text]
    assert [piece.text for piece in split(text, 21)] == [
        "水泵每三个月检修一次。",
        "他说：“先关阀门！”然后再拆盖板；",
        "密封圈要换新的。",
        "负责人是王工……电话是8021。",
    ]


def test_english_pieces() -> None:
    text = 'Dr. J. Smith paid 3.14 euros, e.g. for www.a.com/b. "Why?" he asked. The pump runs.\n\nIt stopped.'
    offsets = [0, *(offset for offset, _ in cuts_of(text, "prose")), len(text)]
    sentences = [text[start:end].strip() for start, end in pairwise(offsets)]
    assert sentences == [
        "Dr. J. Smith paid 3.14 euros, e.g. for www.a.com/b.",
        '"Why?" he asked.',
        "The pump runs.",
        "It stopped.",
    ]


def test_kinds_of_cut() -> None:
    text = "一。二。\n\n三\n- 四\n1. Five"
    assert [(text[:offset], kind) for offset, kind in cuts_of(text, "prose")] == [
        ("一。", SENTENCE),
        ("一。二。\n\n", PARAGRAPH),
        ("一。二。\n\n三\n", ENTRY),
        ("一。二。\n\n三\n- 四\n", ENTRY),
    ]


def test_code_and_tables_are_cut_between_lines() -> None:
    rows = [f"| part {i} | {i} months. Yes. |" for i in range(20)]
    for piece in split("\n".join(rows), 30, "table"):
        assert set(piece.text.split("\n")) <= set(rows)


def test_indentation_of_code_is_kept() -> None:
    text = "\n".join(f"    call({i})" for i in range(20))
    assert all(piece.text.startswith("    call") for piece in split(text, 16, "code"))


def test_a_paragraph_break_is_preferred_to_a_sentence() -> None:
    first, second = "水泵停了。再等一等。" * 3, "阀门开着。没有人看。" * 3
    assert [piece.text for piece in split(f"{first}\n\n{second}", 40)] == [first, second]


@pytest.mark.parametrize(
    "entries",
    [
        [f"2025-03-{day:02} The pump was oiled. It ran on. It costs {day} euros." for day in range(1, 13)],
        [f"2025-03-{day:02} oiled, ran on. Seen by Olga" for day in range(1, 13)],
        [f"{day}. 水泵加了油。费用{day}元。" for day in range(1, 13)],
        [f"王工看了{'水' * day}泵。都好。花了{day}元。" for day in range(1, 13)],
    ],
)
def test_entries_and_items_stay_whole_where_there_is_a_cut_between_them(entries: list[str]) -> None:
    for piece in split("\n".join(entries), 60):
        assert set(piece.text.split("\n")) <= set(entries)


def test_one_sentence_too_long_is_cut_at_its_clauses() -> None:
    pieces = [piece.text for piece in split("甲乙丙丁戊，" * 10 + "结束。", 20)]
    assert all(text.endswith(("，", "。")) for text in pieces)


def test_words_without_any_space_are_cut_anywhere() -> None:
    pieces = [piece.text for piece in split("a" * 1000, 10)]
    assert "".join(pieces) == "a" * 1000


def test_accents_and_emoji_stay_whole() -> None:
    assert forced_cuts("e\u0301" * 5, 100) == [6]
    assert forced_cuts("👩\u200d🔬" * 3, 100) == [6]


def test_pages_and_headings_part_sections() -> None:
    content = Content(
        "", (Block("one", page=1), Block("two", page=1), Block("three", page=2), Block("x", heading="H"))
    )
    pieces = Splitter(count, 50).split(content)
    assert [(piece.text, piece.page, piece.heading) for piece in pieces] == [
        ("one\n\ntwo", 1, ""),
        ("three", 2, ""),
        ("x", None, "H"),
    ]


def test_lines_of_joined_blocks_and_of_inexact_ones() -> None:
    blocks = (Block("one", lines=(3, 3)), Block("two\nthree", lines=(7, 20)))
    assert Splitter(count, 50).split(Content("", blocks))[0].lines == (3, 20)
    assert [piece.lines for piece in Splitter(count, 1).split(Content("", blocks))] == [(3, 3), (7, 20), (7, 20)]


def test_tokens_of_different_texts_are_counted_in_one_batch() -> None:
    calls: list[int] = []

    def counting(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return count(texts)

    blocks = tuple(Block(f"水泵{i}停了。再等一等。", heading=str(i)) for i in range(50))
    Splitter(counting, 64).split(Content("", blocks))
    assert calls == [50 + 1]


def test_fingerprint_tells_the_size_and_the_overlap() -> None:
    assert Splitter(count, 64).fingerprint == "blocks-5:64", "another one has all files read again"
    told = {Splitter(count, size, overlap).fingerprint for size in (64, 65) for overlap in range(4)}
    assert len(told) == 8


@pytest.mark.parametrize(
    "text", ["foo bar\n" * 30_000, "中文，" * 30_000, "." * 100_000, "a" + "\u0301" * 50_000, "No. " * 30_000]
)
def test_monotonous_texts_take_no_more_time_than_others(text: str) -> None:
    clock = ProcessorTime()
    split(text.strip(), 64)
    assert clock.seconds < 20


def test_no_content() -> None:
    assert Splitter(count, 64).split(Content("", ())) == []
