"""One search over several knowledge bases: each is searched separately, and their passages alternate.

Scores aren't comparable between indexes, so ranks decide: first a passage of the most probably relevant knowledge
base, then of the next, and so on in turn. Irrelevant ones give no passages, unless all are irrelevant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest

from kb_assistant import telemetry
from kb_assistant.retrieval.clock import Clock
from kb_assistant.retrieval.filters import Filter
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.retrieval.searcher import Document, Searcher
from kb_assistant.store import Source
from kb_assistant.text.language import Language
from kb_assistant.types import Hit, Turn


class FederatedSearcher:
    """Searches like Searcher. The first searcher's thresholds apply.

    Args:
        searchers: At least one.
    """

    def __init__(self, searchers: Sequence[Searcher]) -> None:
        self._searchers = searchers

    def search(
        self,
        question: str,
        history: Sequence[Turn] = (),
        k: int = 5,
        *,
        where: Sequence[Filter] = (),
        read: bool = False,
    ) -> Retrieval:
        """The k passages most relevant to the question. Only the first searcher's rewriter is asked, once.

        Raises:
            QuestionError, EmbedderMismatch: as for Searcher.
        """
        names = "+".join(searcher.name for searcher in self._searchers)
        with telemetry.retrieval(names, k, question) as watched:
            clock = Clock(watched.step)
            views = self._searchers[0].query_views(question, history)
            clock.lap("rewrite")
            every = [
                searcher.find(views, k, where=where, read=read, clock=Clock(watched.step))
                for searcher in self._searchers
            ]
            found = _joined(every, k, clock.laps, views.language)
            watched.found(found.hits, found.evidence)
        return found

    def documents(self, where: Sequence[Filter] = ()) -> list[Source]:
        """The documents of all, as Searcher gives them."""
        return [source for searcher in self._searchers for source in searcher.documents(where)]

    def with_files(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """Passages with the states of their files, as Searcher gives them."""
        for searcher in self._searchers:
            hits = searcher.with_files(hits)
        return tuple(hits)

    def still_there(self, hits: Sequence[Hit]) -> set[str]:
        """The ids of those passages that one of them holds."""
        return {id_ for searcher in self._searchers for id_ in searcher.still_there(hits)}

    def document(self, path: str) -> Document:
        """The document in the first that knows it."""
        return max((searcher.document(path) for searcher in self._searchers), key=lambda found: len(found.chunks))


def _joined(every: Sequence[Retrieval], k: int, laps: dict[str, float], language: Language) -> Retrieval:
    """The results of all knowledge bases as one; laps are the steps before them."""
    best_first = sorted(every, key=lambda found: -found.evidence)
    giving = [found for found in best_first if found.relevant] or best_first
    hits = tuple(islice(_in_turn([found.hits for found in giving]), k))
    steps = dict.fromkeys(name for found in every for name in found.seconds)
    seconds = laps | {name: sum(found.seconds.get(name, 0.0) for found in every) for name in steps}
    first = every[0]
    return Retrieval(first.queries, hits, best_first[0].evidence, first.thresholds, seconds, language)


def together(found: Retrieval, besides: Sequence[Retrieval]) -> Retrieval:
    """The result of a search with those of further questions, where relevant: their passages alternate."""
    relevant = [one for one in (*besides, found) if one.relevant]
    if not besides or not relevant:
        return found
    hits = tuple(islice(_in_turn([one.hits for one in relevant]), len(relevant[0].hits)))
    queries = (*found.queries, *(one.query for one in besides))
    return replace(found, queries=queries, hits=hits, evidence=max(one.evidence for one in relevant))


def _in_turn(lists: Sequence[Sequence[Hit]]) -> Iterator[Hit]:
    """The first of each, the second of each, …; each text once."""
    seen: set[str] = set()
    for hit in chain.from_iterable(zip_longest(*lists)):
        if hit is not None and hit.text not in seen:
            seen.add(hit.text)
            yield hit
