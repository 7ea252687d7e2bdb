"""The sample corpus holds what its list of questions says it holds."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import docx
import pypdfium2
import pytest
from lxml import html

from tests.samples import DATA, SAMPLE_DOCS

CORPUS = SAMPLE_DOCS
QUESTIONS_FILE = DATA / "sample_questions.json"
QUESTIONS: list[dict[str, Any]] = json.loads(QUESTIONS_FILE.read_text(encoding="utf-8"))
ANSWERED = [q for q in QUESTIONS if q["source"] is not None]
SUFFIXES = {".md", ".txt", ".html", ".pdf", ".docx"}
PDF_LIMIT = 150 * 1024
CJK = re.compile(r"[\u4e00-\u9fff]")


def corpus_files() -> list[str]:
    return sorted(p.relative_to(CORPUS).as_posix() for p in CORPUS.rglob("*") if p.is_file())


@functools.cache
def sections(source: str) -> tuple[tuple[str, str], ...]:
    """(label, text) for each section of a file; a PDF's labels are its page numbers."""
    path = CORPUS / source
    suffix = path.suffix
    if suffix == ".pdf":
        return _pdf_pages(path)
    if suffix == ".docx":
        pairs = _docx_blocks(path)
    elif suffix == ".html":
        pairs = _html_blocks(path)
    else:
        pattern = r"#+ (.+)" if suffix == ".md" else r"((?:\d+\. |[一二三四五六七八九十]+、).+)"
        pairs = []
        for line in path.read_text(encoding="utf-8").splitlines():
            heading = re.fullmatch(pattern, line)
            pairs.append((heading is not None, heading.group(1) if heading else line))
    return _grouped(pairs)


def _grouped(pairs: list[tuple[bool, str]]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, list[str]]] = [("", [])]
    for is_heading, text in pairs:
        if is_heading:
            found.append((text, []))
        else:
            found[-1][1].append(text)
    return tuple((label, "\n".join(lines)) for label, lines in found)


def _pdf_pages(path: Path) -> tuple[tuple[str, str], ...]:
    document = pypdfium2.PdfDocument(path)
    try:
        return tuple((str(i + 1), document[i].get_textpage().get_text_range()) for i in range(len(document)))
    finally:
        document.close()


def _docx_blocks(path: Path) -> list[tuple[bool, str]]:
    pairs: list[tuple[bool, str]] = []
    for block in docx.Document(str(path)).iter_inner_content():
        if hasattr(block, "rows"):
            pairs.extend((False, " | ".join(cell.text for cell in row.cells)) for row in block.rows)
        else:
            style = block.style.name if block.style else ""
            pairs.append((style.startswith(("Heading", "Title")), block.text))
    return pairs


def _html_blocks(path: Path) -> list[tuple[bool, str]]:
    # The bytes go to the parser, which reads the encoding from the file's own meta element.
    main = html.fromstring(path.read_bytes()).find(".//main")
    assert main is not None
    return [(el.tag in {"h1", "h2"}, el.text_content()) for el in main.iter("h1", "h2", "p", "td", "th")]


def full_text(source: str) -> str:
    return "\n".join(f"{label}\n{text}" for label, text in sections(source))


def contains(text: str, answer: str) -> bool:
    """The answer stands in the text, and not as the tail of a longer word or number."""
    edge = r"(?<![0-9A-Za-z.,])" if re.match(r"[0-9A-Za-z]", answer) else ""
    return re.search(edge + re.escape(answer), text) is not None


def is_chinese(text: str) -> bool:
    return CJK.search(text) is not None


def is_cross_language(question: dict[str, Any]) -> bool:
    return question["source"] is not None and (question["language"] == "zh") != is_chinese(
        Path(question["source"]).name
    )


def test_corpus_has_each_kind_of_file() -> None:
    files = corpus_files()
    assert 14 <= len(files) <= 20
    assert {Path(f).suffix for f in files} == SUFFIXES
    assert {Path(f).parts[0] for f in files if "/" in f} == {"en", "zh", "shared"}


@pytest.mark.parametrize(("source", "pages"), [("en/pump-manual.pdf", 3), ("zh/揉捻机手册.pdf", 2)])
def test_pdf_has_a_text_layer_on_every_page(source: str, pages: int) -> None:
    found = sections(source)
    assert len(found) == pages
    assert (CORPUS / source).stat().st_size < PDF_LIMIT
    for _, text in found:
        assert len(text) > 300
        assert "\ufffd" not in text
        assert is_chinese(text) == source.startswith("zh/")


def test_docx_has_headings_a_list_and_a_table() -> None:
    document = docx.Document(str(CORPUS / "en/travel-policy.docx"))
    styles = {p.style.name for p in document.paragraphs if p.style}
    assert {"Heading 1", "Heading 2", "List Bullet", "List Number"} <= styles
    assert len(document.tables) == 1


def test_questions_are_well_formed() -> None:
    ids = [q["id"] for q in QUESTIONS]
    assert len(ids) == len(set(ids))
    for q in QUESTIONS:
        assert set(q) - {"page", "heading"} == {"id", "language", "question", "history", "answer", "source"}
        assert q["language"] == ("zh" if is_chinese(q["question"]) else "en")
        assert (q["source"] is None) == (q["answer"] is None)
        roles = [turn["role"] for turn in q["history"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(set(turn) == {"role", "text"} and turn["text"] for turn in q["history"])


def test_questions_cover_every_kind_and_every_file() -> None:
    follow_ups = [q for q in ANSWERED if q["history"]]
    assert len(ANSWERED) >= 40
    assert len(follow_ups) >= 12
    assert {q["language"] for q in follow_ups} == {"en", "zh"}
    cross = [q for q in ANSWERED if is_cross_language(q)]
    assert len(cross) >= 4
    assert {q["language"] for q in cross} == {"en", "zh"}
    unanswerable = [q for q in QUESTIONS if q["source"] is None]
    assert len(unanswerable) >= 10
    assert {q["language"] for q in unanswerable} == {"en", "zh"}
    assert {q["source"] for q in ANSWERED} == set(corpus_files()) - {"README.md"}


@pytest.mark.parametrize("question", ANSWERED, ids=lambda q: str(q["id"]))
def test_answer_stands_in_its_source(question: dict[str, Any]) -> None:
    label = str(question["page"]) if "page" in question else question["heading"]
    holding = [text for name, text in sections(question["source"]) if name == label]
    assert len(holding) == 1, f"{label!r} is not one section of {question['source']}"
    assert contains(holding[0], question["answer"])


@pytest.mark.parametrize("question", ANSWERED, ids=lambda q: str(q["id"]))
def test_answer_stands_in_at_most_two_files(question: dict[str, Any]) -> None:
    holders = [f for f in corpus_files() if contains(full_text(f), question["answer"])]
    assert question["source"] in holders
    assert len(holders) <= 2, holders


def test_no_sentence_stands_in_two_files() -> None:
    seen: dict[str, str] = {}
    for source in corpus_files():
        for sentence in set(re.split(r"(?<=[.!?])\s+|(?<=[。！？])|\n+", full_text(source))):
            if len(sentence) >= (8 if is_chinese(sentence) else 30):
                assert sentence not in seen, f"{sentence!r} stands in {seen[sentence]} and {source}"
                seen[sentence] = source
