"""Thresholds of evidence: from the settings, else kept with the index by `kb eval`, else the defaults.

Kept thresholds were measured with one embedder, one analyzer and one evidence model; if any of these has changed,
they are meaningless and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kb_assistant.retrieval.reading import READ_EVIDENCE
from kb_assistant.retrieval.relevance import CERTAIN, CROSS_LINGUAL, EVIDENCE, FOLLOW_UP, REFUSE
from kb_assistant.retrieval.result import Thresholds
from kb_assistant.settings import Settings
from kb_assistant.store import Snapshot, Transaction
from kb_assistant.text import analyzer as keywords

Origin = Literal["settings", "kb eval", "usual", "none"]

META = "floors"
"""Key of the thresholds in the store."""


@dataclass(frozen=True, slots=True)
class ChosenThresholds:
    """The thresholds in use, and the origin of the one for refusals: "none" if the embedder was never measured."""

    thresholds: Thresholds
    origin: Origin

    def to_json(self) -> dict[str, Any]:
        return {
            "refuse": self.thresholds.refuse_below,
            "certain": self.thresholds.uncertain_below,
            "from": self.origin,
        }


def keep_thresholds(transaction: Transaction, thresholds: Thresholds, settings: Settings) -> None:
    """Keep thresholds with the index, as long as the meaning of evidence doesn't change."""
    values = {"refuse": thresholds.refuse_below, "certain": thresholds.uncertain_below}
    transaction.put_meta(META, {**values, "measured with": _means(transaction, settings)})


def choose_thresholds(settings: Settings, snapshot: Snapshot | None, measured: bool) -> ChosenThresholds:
    """The thresholds in use.

    Args:
        snapshot: The index; None if there is none yet.
        measured: Whether the default thresholds were measured with the embedder.
    """
    kept = _kept(snapshot, settings) if snapshot else None
    usual = Thresholds(REFUSE, CERTAIN) if measured else Thresholds()
    found = kept or usual
    refuse = found.refuse_below if settings.refuse_below is None else settings.refuse_below
    certain = found.uncertain_below if settings.uncertain_below is None else settings.uncertain_below
    origin: Origin = "kb eval" if kept else "usual" if measured else "none"
    return ChosenThresholds(
        Thresholds(refuse, max(refuse, certain)), origin if settings.refuse_below is None else "settings"
    )


def thresholds_at(settings: Settings, measured: bool, snapshot: Snapshot) -> Thresholds:
    """The thresholds in use for a state of the store; see choose_thresholds."""
    return choose_thresholds(settings, snapshot, measured).thresholds


def _kept(snapshot: Snapshot, settings: Settings) -> Thresholds | None:
    kept = snapshot.meta(META)
    if not isinstance(kept, Mapping) or kept.get("measured with") != _means(snapshot, settings):
        return None
    return Thresholds(float(kept["refuse"]), float(kept["certain"]))


def _means(snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """Identifies everything that evidence depends on."""
    evidence: dict[str, Any] = {
        "same language": dict(EVIDENCE),
        "across": dict(CROSS_LINGUAL),
        "follow-up": dict(FOLLOW_UP),
        "read": READ_EVIDENCE if settings.answer_reader != "off" else None,
    }
    if settings.answer_reader not in ("on", "off"):
        evidence["reader"] = settings.answer_reader
    return {"embedder": snapshot.meta("embedder"), "keywords": keywords.analyzer_version(), "evidence": evidence}
