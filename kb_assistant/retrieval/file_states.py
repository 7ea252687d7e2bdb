"""Says of passages whether their files are still there, so that no answer comes from a missing one unsaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb_assistant.messages import _, join
from kb_assistant.store import Chunk, Snapshot
from kb_assistant.store.presence import file_states
from kb_assistant.types import FileState, Hit

MOST_PLACES = 20
"""Most places of one text that are looked at for one whose file is there."""


def with_files(snapshot: Snapshot, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """The hits of sources that the store knows, with the states of their files; others as they are."""
    states = file_states(snapshot, snapshot.known_sources(hit.source for hit in hits).keys())
    return tuple(replace(hit, file=states.get(hit.source, hit.file)) for hit in hits)


def there_first(snapshot: Snapshot, places: Mapping[int, Sequence[Chunk]]) -> dict[int, list[Chunk]]:
    """The chunks of each text, by text id; one whose file is there leads where that of the first is missing."""
    several = {text_id: chunks for text_id, chunks in places.items() if len(chunks) > 1}
    states = file_states(snapshot, {chunks[0].source for chunks in several.values()})
    doubtful = [text_id for text_id, chunks in several.items() if states[chunks[0].source] != "there"]
    others = {chunk.source for text_id in doubtful for chunk in several[text_id][:MOST_PLACES]}
    states |= file_states(snapshot, others)

    def missing(chunk: Chunk) -> bool:
        return states.get(chunk.source, "there") != "there"

    ordered = {text_id: sorted(several[text_id], key=missing) for text_id in doubtful}
    return {text_id: ordered.get(text_id, list(chunks)) for text_id, chunks in places.items()}


def missing_note(hits: Sequence[Hit]) -> str:
    """Which passages have no file now, by their numbers; "" if all have one."""
    gone, away = _numbers(hits, "gone"), _numbers(hits, "unreachable")
    return join(
        (
            gone and _("{numbers}: its file is gone, this is what it said.", numbers=gone),
            away and _("{numbers}: its file can't be reached now, this is what it said.", numbers=away),
        )
    )


def _numbers(hits: Sequence[Hit], state: FileState) -> str:
    return ", ".join(f"[{n}]" for n, hit in enumerate(hits, start=1) if hit.file == state)
