"""From ranked texts to passages: joined, folded, spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.retrieval.passages import Ranked, passages, repeated
from kb_assistant.store import Chunk, Text
from kb_assistant.types import Hit, Locator

WORDS = frozenset(f"word{n}" for n in range(40))


def chunk(text_id: int, source: str = "a.md", seq: int = 0, heading: str = "H", page: int | None = None) -> Chunk:
    locator = Locator(page, (10 * seq + 1, 10 * seq + 9), heading)
    return Chunk(f"{source}-{seq}-{text_id}", text_id, Text(heading, f"text {text_id}"), source, locator, seq=seq)


def worded(text_id: int, body: str, seq: int, lines: tuple[int, int] | None) -> Chunk:
    return Chunk(f"{text_id}", text_id, Text("H", body), "a.md", Locator(None, lines, "H"), seq=seq)


def ranked(text_id: int, score: float) -> Ranked:
    return Ranked(text_id, score, 0.9)


def found(
    texts: Sequence[Ranked],
    places: dict[int, list[Chunk]],
    k: int = 5,
    words: Mapping[int, frozenset[str]] = MappingProxyType({}),
) -> tuple[Hit, ...]:
    def words_of(text_id: int) -> frozenset[str]:
        return words.get(text_id, frozenset({f"own{text_id}"}))

    return passages(texts, lambda ids: {i: places[i] for i in ids if i in places}, words_of, k)


def test_neighbours_of_one_section_are_one_passage() -> None:
    places = {1: [chunk(1, seq=4)], 2: [chunk(2, "b.md")], 3: [chunk(3, seq=3)]}
    first, second = found([ranked(1, 3), ranked(2, 2), ranked(3, 1)], places)
    assert (first.text, first.locator.lines, first.score) == ("text 3\ntext 1", (31, 49), 3)
    assert second.source == "b.md"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("It ran. It stopped.", "It stopped. It rusts.", "It stopped."),
        ("It ran. It stopped. Why?", "It stopped. Why? It rusts.", "It stopped. Why?"),
        ("水泵停了。再等一等。", "再等一等。阀门开着。", "再等一等。"),
        ("It ran.\n\nIt stopped.", "It stopped.\n\nIt rusts.", "It stopped."),
        ("Yes. It stopped. Yes.", "Yes. It stopped. Yes. It rusts.", "Yes."),
        ("It ran a", "a second time. It rusts.", ""),
        ("It ran. Then it stopped.", "it stopped. It rusts.", ""),
        ("It ran. It stopped.", "It stopped. it rusts.", ""),
        ("It stopped.", "It stopped.", ""),
        ("5. It stopped.", "It stopped. It rusts.", "It stopped."),
        ("", "It stopped. It rusts.", ""),
    ],
)
def test_what_is_repeated_are_whole_sentences(one: str, other: str, both: str) -> None:
    assert repeated(one, other) == both


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (((1, 2), (2, 3)), "It ran. It stopped.\n\nIt rusts."),
        ((None, None), "It ran. It stopped.\n\nIt rusts."),
        (((1, 2), (3, 4)), "It ran. It stopped.\nIt stopped.\n\nIt rusts."),
    ],
)
def test_a_joined_passage_holds_once_what_its_chunks_share(
    lines: tuple[tuple[int, int] | None, tuple[int, int] | None], text: str
) -> None:
    """Said twice in different lines, it stands there twice."""
    first = worded(1, "It ran. It stopped.", 0, lines[0])
    second = worded(2, "It stopped.\n\nIt rusts.", 1, lines[1])
    (hit,) = found([ranked(2, 2), ranked(1, 1)], {1: [first], 2: [second]})
    assert hit.text == text


def test_what_stands_apart_or_under_another_heading_or_page_stays_apart() -> None:
    places = {
        1: [chunk(1, seq=1)],
        2: [chunk(2, seq=3)],
        3: [chunk(3, seq=2, heading="Other")],
        4: [chunk(4, seq=0, page=2)],
    }
    assert len(found([ranked(n, 5 - n) for n in (1, 2, 3, 4)], places)) == 4


def test_a_passage_takes_one_neighbour_only() -> None:
    places = {n: [chunk(n, seq=n)] for n in (1, 2, 3)}
    assert [hit.text for hit in found([ranked(n, 5 - n) for n in (1, 2, 3)], places)] == [
        "text 1\ntext 2",
        "text 3",
    ]


def test_versions_of_one_text_are_folded() -> None:
    places = {n: [chunk(n, f"v{n}.md")] for n in (1, 2, 3)}
    words = {1: WORDS | {"v1"}, 2: WORDS | {"v2"}}
    first, second = found([ranked(1, 3), ranked(2, 2), ranked(3, 1)], places, words=words)
    assert (first.source, first.near_in) == ("v1.md", ("v2.md",))
    assert (second.source, second.near_in) == ("v3.md", ())


def test_alike_texts_of_one_file_and_short_ones_are_kept_apart() -> None:
    """Rows of a table differ in the number that counts."""
    places = {1: [chunk(1, seq=0)], 2: [chunk(2, seq=5)], 3: [chunk(3, "b.md")], 4: [chunk(4, "c.md")]}
    short = frozenset({"valve", "opens", "bar"})
    words = {1: WORDS, 2: WORDS, 3: short, 4: short}
    assert len(found([ranked(n, 5 - n) for n in (1, 2, 3, 4)], places, words=words)) == 4


def test_where_scores_tie_files_take_turns() -> None:
    places = {n: [chunk(n, "a.md" if n < 4 else "b.md", seq=2 * n)] for n in (1, 2, 3, 4)}
    assert [hit.source for hit in found([ranked(n, 1.0) for n in (1, 2, 3, 4)], places, 2)] == ["a.md", "b.md"]
    spread = [ranked(n, 2 - n / 10) for n in (1, 2, 3, 4)]
    assert [hit.source for hit in found(spread, places, 2)] == ["a.md", "a.md"]


def test_the_same_text_elsewhere_is_named() -> None:
    (hit,) = found([ranked(1, 1)], {1: [chunk(1, "a.md"), chunk(1, "b.md"), chunk(1, "a.md", seq=7)]})
    assert (hit.source, hit.also_in) == ("a.md", ("b.md",))


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 9)), unique=True, max_size=30),
    st.integers(1, 8),
)
def test_no_text_is_given_twice_and_k_are_given_where_there_are_so_many(
    drawn: list[tuple[int, str, int]], k: int
) -> None:
    places = {n: [chunk(n, source, seq)] for n, (_, source, seq) in enumerate(drawn)}
    texts = sorted((ranked(n, float(score)) for n, (score, _, _) in enumerate(drawn)), key=lambda one: -one.score)
    hits = found(texts, places, k)
    lines = [line for hit in hits for line in hit.text.split("\n")]
    assert len(lines) == len(set(lines))
    assert len(hits) <= k
    if len(hits) < k:
        assert len(lines) == len(drawn)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_joined_passage_is_in_other_files_that_hold_both_parts() -> None:
    one, other = (
        [chunk(1, "a.md", 0), chunk(1, "b.md"), chunk(1, "c.md")],
        [chunk(2, "a.md", 1), chunk(2, "b.md", 1)],
    )
    (hit,) = found([ranked(1, 2), ranked(2, 1)], {1: one, 2: other})
    assert hit.also_in == ("b.md",)
