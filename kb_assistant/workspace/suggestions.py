"""Questions that documents suggest by their headings. No model is asked."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING

from kb_assistant.errors import KBError
from kb_assistant.store.readers import Sees
from kb_assistant.text.heading_questions import questions_about
from kb_assistant.text.language import language_of

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.store import Snapshot
    from kb_assistant.workspace.chats import SavedTurn

_LOOKED_AT = 16
"""Most sources inspected for each question; some suggest none."""


def example_questions(
    base: KnowledgeBase, count: int = 4, seed: int = 0, sees: Sees | None = None, language: str = ""
) -> list[str]:
    """Questions suggested by the documents' headings, in their language. No model is asked.

    Args:
        seed: The same seed gives the same questions.
        sees: Which sources may be read; None for all.
        language: Those in this one, such as "zh", come first.
    """
    chance = random.Random(seed)
    with base.store.read() as snapshot:
        paths = [path for path in snapshot.paths() if sees is None or sees(path)]
        found: dict[str, None] = {}
        others: dict[str, None] = {}
        for path in chance.sample(paths, min(len(paths), _LOOKED_AT * count)):
            if fit := _asked(snapshot, path):
                question = chance.choice(list(fit.values()))
                (found if language in ("", language_of(question)) else others)[question] = None
            if len(found) == count:
                break
    return list(found | others)[:count]


def follow_up_questions(
    base: KnowledgeBase, turn: SavedTurn, count: int = 3, sees: Sees | None = None
) -> list[str]:
    """Questions that may come next: about the headings nearest to the passages that an answer cites, first those
    that come after them. None of them was answered by the turn.

    Args:
        sees: As for example_questions.
    """
    cited = sorted({mark.n for mark in turn.marks})
    every = turn.hits
    hits = [every[n - 1] for n in cited if sees is None or sees(every[n - 1].source)]
    known = {hit.locator.heading or "" for hit in hits}
    found: dict[str, None] = {}
    for hit in hits:
        for heading, question in _nearest(base, hit.source, hit.locator.heading or ""):
            if heading not in known and question != turn.question:
                found[question] = None
            if len(found) == count:
                return list(found)
    return list(found)


def _nearest(base: KnowledgeBase, source: str, heading: str) -> Iterable[tuple[str, str]]:
    """The other headings of a source, with their questions: those after a heading, then those before it, nearest
    first."""
    try:
        with base.store.read() as snapshot:
            asked = list(_asked(snapshot, source).items())
    except KBError:  # the knowledge base is gone
        return ()
    place = next((place for place, (one, _) in enumerate(asked) if one == heading), -1)
    return [*asked[place + 1 :], *reversed(asked[: max(place, 0)])]


def _asked(snapshot: Snapshot, path: str) -> dict[str, str]:
    """Questions about the headings of a source, by heading."""
    source, chunks = snapshot.source(path), snapshot.chunks_of_source(path)
    passages = ((chunk.locator.heading or "", chunk.text.body) for chunk in chunks)
    return questions_about(passages, (source.title if source else "") or PurePath(path).stem)
