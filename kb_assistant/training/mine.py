"""Questions with answers from a knowledge base: what its documents ask and answer themselves, and, with a chat
model, questions that the model writes on a passage.

A pair is kept only if a search for the question finds its passage, so that training sees the prompt that the chat
will use: rules, the passages found, the question. Sources that have readers of their own are left out: whoever
uses the adapter would read them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kb_assistant.errors import DatasetError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.capabilities import quotes_only
from kb_assistant.messages import _
from kb_assistant.store.readers import ANYONE
from kb_assistant.text.language import language_of
from kb_assistant.text.marks import unmarked
from kb_assistant.text.sentences import sentences
from kb_assistant.text.wording import is_refusal, wording
from kb_assistant.training.data import Conversation, Passage
from kb_assistant.types import Hit

if TYPE_CHECKING:
    from kb_assistant.store.records import Chunk

UNANSWERABLE = 0.1
"""Share of questions that are asked on passages without their answer, so that refusing isn't unlearned."""

_LONGEST_ANSWER = 400
_SHORTEST_PASSAGE = 40
_ASKS = re.compile(
    r"[?？]\s*$|^(?:how|what|when|where|who|whom|whose|why|which|can|could|do|does|did|is|are|may|must|should|will)\b"
    r"|^(?:如何|怎么|怎样|怎麼|为什么|為什麼|什么是|什么时候|何时|哪|谁|是否|能否|可否|多少)|(?:吗|呢)$",
    re.IGNORECASE,
)
_QUESTION = r"[ \t]*(?:\d{1,3}[.、)][ \t]*)?(?:Q|Question|问|問|问题)[ \t]*\d{0,3}[ \t]*[:：.、]"
_ANSWER = r"[ \t]*(?:A|Answer|答|回答|答案)[ \t]*\d{0,3}[ \t]*[:：.、]"
_PAIR = re.compile(
    rf"^{_QUESTION}[ \t]*(?P<asked>[^\n]{{2,400}})\n+{_ANSWER}[ \t]*"
    r"(?P<said>[^\n]{1,1000}(?:\n(?![ \t]*\n)[^\n]{1,1000}){0,5}?)"
    rf"(?=\n[ \t]*\n|\n{_QUESTION}|\s*\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_ROW = re.compile(
    r"^(?:Q|Question|问|问题|提问|常见问题)[ \t]*[:：][ \t]*(?P<asked>[^\n|]{2,400}?)[ \t]*\|[ \t]*"
    r"(?:A|Answer|Reply|答|答案|回答|解答)[ \t]*[:：][ \t]*(?P<said>[^\n|]{1,1000}?)[ \t]*(?:\||$)",
    re.IGNORECASE | re.MULTILINE,
)
_TASK = {
    "zh": "下面是一段资料。请写出一个只看这段资料就能回答的问题。只写出问题。\n\n{passage}",
    "en": "Write one question that the passage below answers by itself. Write the question only.\n\n{passage}",
}


@dataclass(frozen=True, slots=True)
class Mined:
    """A question with its answer, which a chunk holds."""

    question: str
    answer: str
    chunk: Chunk


def from_documents(kb: KnowledgeBase, seed: int = 0) -> list[Conversation]:
    """What the documents ask and answer themselves, each with the passages that a search finds for it.

    Raises:
        DatasetError: they ask nothing, or no search finds the passage.
        StoreError, EmbedderMismatch: as for KnowledgeBase.search.
    """
    found = [one for chunks in _open_chunks(kb) for one in _asked_by(chunks)]
    made = [one for pair in found if (one := _grounded(kb, pair))]
    if not made:
        raise DatasetError(
            _("The documents of {name!r} hold no questions with answers.", name=kb.settings.kb),
            _("Headings that ask, blocks of Q: and A:, and tables of questions are used. A chat model writes "
              "questions on any text: --write-questions 100 --model NAME"),
        )  # fmt: skip
    return [*made, *_unanswerable(kb, made, seed)]


def from_model(
    kb: KnowledgeBase, count: int, seed: int = 0, done: Callable[[float], None] = lambda _share: None
) -> list[Conversation]:
    """Questions that the chat model writes on passages drawn by chance, with its answers.

    One is kept only if a search finds its passage first, and every citation of the answer is supported.

    Args:
        count: Number of passages that are tried.

    Raises:
        DatasetError: no chat model is named, no passage is long enough, or nothing that it writes holds.
        ModelError: the chat model can't answer.
    """
    if quotes_only(kb.chat_model):
        raise DatasetError(
            _("No chat model is there to write questions."),
            _("Name one by --model; kb models list shows what is installed."),
        )
    chunks = [one for chunks in _open_chunks(kb) for one in chunks if len(one.text.body) >= _SHORTEST_PASSAGE]
    drawn = random.Random(seed).sample(chunks, min(count, len(chunks)))
    made: list[Conversation] = []
    for number, chunk in enumerate(drawn, start=1):
        if one := _written(kb, chunk):
            made.append(one)
        done(number / len(drawn))
    if not made:
        raise DatasetError(
            _("Of {count} passages the model wrote no question that holds: a search finds its passage first, and "
              "the model's answer cites what supports it.", count=len(drawn)),
            _("Try more passages, or a larger model."),
        )  # fmt: skip
    return [*made, *_unanswerable(kb, made, seed)]


def _open_chunks(kb: KnowledgeBase) -> Iterator[list[Chunk]]:
    """The chunks of each source that anyone may read."""
    rules = kb.reader_rules
    with kb.store.read() as snapshot:
        for source in snapshot.sources():
            if ANYONE in rules.readers_of(source.path):
                yield snapshot.chunks_of_source(source.path)


def _asked_by(chunks: Sequence[Chunk]) -> Iterator[Mined]:
    """Pairs in the text, and headings that ask, with the beginning of what stands below."""
    headings: set[str] = set()
    for chunk in chunks:
        body = chunk.text.body
        for pattern in (_PAIR, _ROW):
            for match in pattern.finditer(body):
                yield Mined(match["asked"].strip(), match["said"].strip(), chunk)
        heading = chunk.text.heading
        asked = heading.rpartition(" > ")[2].strip()
        if heading not in headings and _ASKS.search(asked):
            headings.add(heading)
            if answer := _beginning(body):
                yield Mined(asked, answer, chunk)


def _beginning(body: str) -> str:
    """The first sentences, as many as make an answer."""
    kept = ""
    for sentence in sentences(body):
        joined = f"{kept} {sentence}" if kept and sentence[:1].isascii() else kept + sentence
        if len(joined) > _LONGEST_ANSWER:
            break
        kept = joined
    return kept.strip()


def _grounded(kb: KnowledgeBase, pair: Mined) -> Conversation | None:
    """The pair with the passages that the chat will be given; None if its own isn't among them."""
    found = kb.retrieve(pair.question, read=True, audience=())
    number = next((n for n, hit in enumerate(found.hits, start=1) if hit.id == pair.chunk.id), 0)
    if not number or not found.relevant:
        return None
    return _conversation(pair.question, f"{pair.answer} [{number}]", found.hits, pair.chunk.source)


def _conversation(question: str, answer: str, hits: Sequence[Hit], source: str) -> Conversation:
    return Conversation(
        (("user", question), ("assistant", answer)),
        "grounded",
        source,
        tuple(passage_of(hit) for hit in hits),
        group=source,
    )


def passage_of(hit: Hit) -> Passage:
    """A hit as it is kept in training data."""
    return Passage(hit.text, hit.source, hit.locator.heading or "")


def _unanswerable(kb: KnowledgeBase, made: Sequence[Conversation], seed: int) -> Iterator[Conversation]:
    """A tenth of the questions again, on passages of other sources, with the refusal for an answer."""
    wanted = -(-len(made) // 10) if made else 0
    for one in random.Random(seed).sample(list(made), len(made)):
        if not wanted:
            return
        said = [part for sentence in sentences(unmarked(one.answer)) if (part := sentence.strip(" .。"))]
        hits = kb.retrieve(one.question, kb.settings.k * 3, audience=()).hits
        others = [hit for hit in hits if hit.source != one.group and not any(part in hit.text for part in said)]
        if others := others[: kb.settings.k]:
            wanted -= 1
            refusal = wording(language_of(one.question)).refusal
            refused = _conversation(one.question, refusal, others, one.source)
            yield replace(refused, group=one.group)


def _written(kb: KnowledgeBase, chunk: Chunk) -> Conversation | None:
    """The question that the model writes on a passage with its answer; None if it doesn't hold."""
    task = _TASK["zh" if language_of(chunk.text.body) == "zh" else "en"]
    said = str(kb.chat_model.invoke(task.format(passage=chunk.text.body)).text).strip()
    question = said.splitlines()[0].strip() if said else ""
    if not 4 <= len(question) <= 200 or not _ASKS.search(question):
        return None
    found = kb.retrieve(question, read=True, audience=())
    if not found.relevant or not found.hits or found.hits[0].id != chunk.id:
        return None
    turn = dict(kb.chain_over([kb.searcher(())]).invoke({"question": question}))
    held = [citation.supported for citation in turn["citations"]]
    answer = turn["answer"].strip()
    if turn["refused"] or turn["cut"] or not held or not all(held) or is_refusal(answer):
        return None
    return _conversation(question, answer, turn["hits"], chunk.source)
