"""What the reader says orders the passages, marks their answers and judges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb_assistant.reader.reader import Reading
from kb_assistant.retrieval.query_views import query_views
from kb_assistant.retrieval.reading import CITED, CITED_LONG, READ, answers_somewhere, read_hits
from kb_assistant.types import AnswerSpan, Hit, Locator, Turn


class Told:
    """A reader that says what it is told of each passage, after turns and alone."""

    def __init__(self, readings: Sequence[Reading | None], alone: Mapping[str, Reading] | None = None) -> None:
        self.readings, self.alone = list(readings), alone or {}
        self.known: dict[str, Reading | None] = {}
        self.asked: list[tuple[str, tuple[str, ...], list[str]]] = []

    def read(
        self, question: str, passages: Sequence[tuple[str, str]], earlier: Sequence[str], seconds: float
    ) -> list[Reading | None]:
        del seconds
        self.asked.append((question, tuple(earlier), [f"{heading}|{text}" for heading, text in passages]))
        if earlier:
            self.known = dict(zip((text for _, text in passages), self.readings, strict=False))
            return list(self.known.values())
        return [self.alone.get(text, self.known.get(text)) for _, text in passages]


def hits(*texts: str) -> list[Hit]:
    return [
        Hit(id=text, text=text, source="/a.md", locator=Locator(heading="H"), score=1.0 / number)
        for number, text in enumerate(texts, start=1)
    ]


def said(logit: float, span: tuple[int, int] = (0, 1), span_score: float = 1.0) -> Reading:
    return Reading(logit, logit, span, span_score)


VIEWS = query_views("who keeps the lamp?", [Turn("where?", "Here. And there.")])


def test_it_gets_question_turns_headings_and_texts() -> None:
    reader = Told([said(0)] * 2)
    read_hits(reader, VIEWS, hits("a", "b"), 0.5, 1.0)
    assert reader.asked == [
        ("who keeps the lamp?", earlier, ["H|a", "H|b"]) for earlier in (("where?", "Here."), ())
    ]


def test_what_answers_comes_first_and_is_marked() -> None:
    ordered, *_ = read_hits(
        Told([said(-4, span_score=-3), said(4, (2, 5))]), VIEWS, hits("first", "second"), 0.5, 1
    )
    assert [(hit.text, hit.answer and hit.answer.start) for hit in ordered] == [("second", 2), ("first", None)]
    assert ordered[0].answer == AnswerSpan(2, 5, ordered[0].answer.score if ordered[0].answer else 0)


def test_another_answer_is_kept_but_not_another_row_or_item() -> None:
    texts = ("The old code is 17, the new one 19.", "- code 17\n- code 19")
    readings = [replace(said(4, (16, 18)), also=(32, 34)), replace(said(3, (7, 9)), also=(17, 19))]
    prose, items = read_hits(Told(readings), VIEWS, hits(*texts), 0.5, 1).hits
    assert prose.answer is not None
    assert items.answer is not None
    assert (prose.answer.also, items.answer.also) == ((32, 34), None)
    assert Hit.from_json(prose.to_json()).answer == AnswerSpan(16, 18, round(prose.answer.score, 4), (32, 34))


def test_the_search_decides_between_like_ones() -> None:
    ordered, *_ = read_hits(Told([said(1.0), said(1.2)]), VIEWS, hits("a", "b"), 0.5, 1)
    assert [hit.text for hit in ordered] == ["a", "b"]


def test_what_was_not_read_keeps_its_place_behind() -> None:
    many = hits(*(f"{number:02}" for number in range(READ + 3)))
    readings: list[Reading | None] = [said(0.0), None, said(5.0)]
    ordered, *_ = read_hits(Told(readings + [None] * READ), VIEWS, many, 0.5, 1)
    assert [hit.text for hit in ordered] == ["02", "00", "01", *(hit.text for hit in many[3:])]


def test_evidence_grows_with_each_sign() -> None:
    def evidence(logit: float, before: float) -> float:
        return read_hits(Told([said(logit)]), VIEWS, hits("a"), before, 1)[1]

    assert evidence(3, 0.5) > evidence(0, 0.5) > evidence(-3, 0.5)
    assert evidence(0, 0.9) > evidence(0, 0.1)
    assert 0 <= evidence(-50, 0.0) < 0.01
    assert 0.99 < evidence(50, 1.0) <= 1


def test_without_a_reading_evidence_stays() -> None:
    assert read_hits(Told([None]), VIEWS, hits("a"), 0.25, 0)[1] == 0.25


def test_what_is_surer_alone_counts() -> None:
    reader = Told([said(1, (0, 1)), said(0, (0, 1))], alone={"b": said(3, (4, 6))})
    ordered, *_ = read_hits(reader, VIEWS, hits("a", "b"), 0.5, 1)
    assert [(hit.text, hit.answer and hit.answer.start) for hit in ordered] == [("b", 4), ("a", 0)]


def test_a_first_question_is_read_once() -> None:
    reader = Told([], alone={"a": said(1)})
    read_hits(reader, query_views("who?", []), hits("a"), 0.5, 1)
    assert reader.asked == [("who?", (), ["H|a"])]


def test_a_question_that_says_too_little_alone_is_read_after_its_turns_only() -> None:
    views = query_views("when is it open?", [Turn("where is the tower?", "On the hill.")])
    reader = Told([said(1)], alone={"a": said(5)})
    read_hits(reader, views, hits("a"), 0.5, 1)
    assert [earlier for _, earlier, _ in reader.asked] == [("where is the tower?", "On the hill.")]


def test_of_a_passage_in_another_language_the_search_counts_more() -> None:
    """A small reader sees little of it: what makes no answer in the question's language may be one here."""
    views = query_views("who keeps the lamp?", ())

    def judged(text: str, evidence: float) -> float:
        return read_hits(Told([], {text: said(-0.5)}), views, hits(text), evidence, 1).evidence

    assert judged("The lamp is kept by Ann.", 0.7) < 0.5 < judged("灯由安看管。", 0.7)
    assert judged("灯由安看管。", 0.1) < 0.5


def test_of_like_passages_that_of_the_document_answered_from_comes_first() -> None:
    one, other = hits("a", "b")
    both = [one, replace(other, source="/b.md")]
    readings = [said(1.0, span_score=1.0), said(2.2)]
    ordered = read_hits(Told(readings), VIEWS, both, 0.5, 1).hits
    assert [hit.text for hit in ordered] == ["a", "b"]
    ordered = read_hits(Told(readings), VIEWS, both, 0.5, 1, {"/b.md": CITED}).hits
    assert [hit.text for hit in ordered] == ["b", "a"]
    long = read_hits(Told(readings), VIEWS, both, 0.5, 1, {"/b.md": CITED_LONG}).hits
    assert long[1].answer
    assert ordered[1].answer
    assert long[1].answer.score < ordered[1].answer.score
    unsure = [said(1.0, span_score=-1.0), said(2.2)]
    assert read_hits(Told(unsure), VIEWS, both, 0.5, 1).hits[0].answer
    assert read_hits(Told(unsure), VIEWS, both, 0.5, 1, {"/b.md": CITED_LONG}).hits[1].answer is None


def test_the_last_answer_that_cites_tells_what_is_talked_of() -> None:
    cited = Turn("where?", "Here.", tuple(hits("a")))
    assert query_views("and when?", [cited, Turn("thanks", "You're welcome.")]).cited_sources == {"/a.md"}
    assert query_views("and when?", [Turn("where?", "Here.")]).cited == ()


def test_an_entry_that_is_meant_is_read_by_itself() -> None:
    text = (
        "4 May: The weir. Guide: Ines Moll.\n18 May: Orchids. Guide: Tor Lind.\n1 June: Summits. Guide: Una Beck."
    )
    held, meant = text.index("Tor Lind"), "1 June: Summits. Guide: Una Beck."
    place = meant.index("Una Beck")
    reader = Told([said(3, (held, held + 8))], {meant: said(1, (place, place + 8))})
    views = query_views("who guides the june summits", ())
    reader.known = {text: said(3, (held, held + 8))}
    (hit,) = read_hits(reader, views, hits(text), 0.5, 1).hits
    assert hit.answer is not None
    assert text[hit.answer.start : hit.answer.end] == "Una Beck"


def test_a_doubtful_mark_is_no_answer() -> None:
    (one,) = hits("a")
    assert not answers_somewhere([one])
    assert not answers_somewhere([replace(one, answer=AnswerSpan(0, 1, 0.1))])
    assert answers_somewhere([one, replace(one, answer=AnswerSpan(0, 1, 0.5))])
