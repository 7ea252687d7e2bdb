"""The result of a search."""

from __future__ import annotations

from dataclasses import dataclass, field

from kb_assistant.deprecation import renamed_attribute
from kb_assistant.text.language import Language
from kb_assistant.types import Hit


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Evidence below which a question is refused, and below which its answer is marked uncertain; both 0 to 1."""

    refuse_below: float = 0.0
    uncertain_below: float = 0.0

    refuse = renamed_attribute("refuse", "refuse_below")
    certain = renamed_attribute("certain", "uncertain_below")


NO_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search found.

    Attributes:
        queries: The texts that were searched; the first is the question alone.
        hits: Best first.
        evidence: Probability, from 0 to 1, that they are relevant to the question; 0 without hits.
        thresholds: The thresholds of the knowledge base.
        seconds: Wall time of "rewrite", "embed", "dense", "keyword", "fuse", "passages", and possibly "rerank" and
            "read".
        language: The question's language.
    """

    queries: tuple[str, ...]
    hits: tuple[Hit, ...]
    evidence: float
    thresholds: Thresholds = NO_THRESHOLDS
    seconds: dict[str, float] = field(default_factory=dict)
    language: Language = "en"

    floors = renamed_attribute("floors", "thresholds")

    @property
    def query(self) -> str:
        """The most complete searched text."""
        return self.queries[-1]

    @property
    def relevant(self) -> bool:
        """False if no hit seems relevant to the question."""
        return bool(self.hits) and self.evidence >= self.thresholds.refuse_below

    @property
    def uncertain(self) -> bool:
        """True if the relevance is uncertain."""
        return self.relevant and self.evidence < self.thresholds.uncertain_below
