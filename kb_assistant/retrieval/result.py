"""What a search found."""

from __future__ import annotations

from dataclasses import dataclass, field

from kb_assistant.text.language import Language
from kb_assistant.types import Hit


@dataclass(frozen=True, slots=True)
class Floors:
    """Evidence below which no answer is given, and below which it is marked uncertain; both from 0 to 1."""

    refuse: float = 0.0
    certain: float = 0.0


NO_FLOORS = Floors()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search found.

    Attributes:
        queries: The texts that were searched; the first is the question alone.
        hits: Best first.
        evidence: How probable it is that they bear on the question, from 0 to 1; 0 where nothing was found.
        floors: Those of the knowledge base.
        seconds: Wall time of "rewrite", "embed", "dense", "keyword", "fuse", "passages", and perhaps "rerank".
        language: The question's.
    """

    queries: tuple[str, ...]
    hits: tuple[Hit, ...]
    evidence: float
    floors: Floors = NO_FLOORS
    seconds: dict[str, float] = field(default_factory=dict)
    language: Language = "en"

    @property
    def query(self) -> str:
        """The fullest text that was searched."""
        return self.queries[-1]

    @property
    def relevant(self) -> bool:
        """False where nothing found seems to bear on the question."""
        return bool(self.hits) and self.evidence >= self.floors.refuse

    @property
    def uncertain(self) -> bool:
        """True where it may or may not."""
        return self.relevant and self.evidence < self.floors.certain
