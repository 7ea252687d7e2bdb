"""Floors of evidence: from the settings, else kept with the index by `kb eval`, else the defaults.

Kept floors were measured with one embedder, one analyzer and one evidence model; if any of these has changed, they
are meaningless and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kb_assistant.retrieval.relevance import CERTAIN, CROSS_LINGUAL, EVIDENCE, REFUSE
from kb_assistant.retrieval.result import Floors
from kb_assistant.settings import Settings
from kb_assistant.store import Snapshot, Transaction
from kb_assistant.text import analyzer as keywords

Origin = Literal["settings", "kb eval", "usual", "none"]

META = "floors"
"""Key of the floors in the store."""


@dataclass(frozen=True, slots=True)
class ChosenFloors:
    """The floors in use, and the origin of the one for refusals: "none" if the embedder was never measured."""

    floors: Floors
    origin: Origin

    def to_json(self) -> dict[str, Any]:
        return {"refuse": self.floors.refuse, "certain": self.floors.certain, "from": self.origin}


def keep_floors(transaction: Transaction, floors: Floors) -> None:
    """Keep floors with the index, as long as the meaning of evidence doesn't change."""
    values = {"refuse": floors.refuse, "certain": floors.certain}
    transaction.put_meta(META, {**values, "measured with": _means(transaction)})


def choose_floors(settings: Settings, snapshot: Snapshot | None, measured: bool) -> ChosenFloors:
    """The floors in use.

    Args:
        snapshot: The index; None if there is none yet.
        measured: Whether the default floors were measured with the embedder.
    """
    kept = _kept(snapshot) if snapshot else None
    usual = Floors(REFUSE, CERTAIN) if measured else Floors()
    found = kept or usual
    refuse = found.refuse if settings.floor is None else settings.floor
    certain = found.certain if settings.certain is None else settings.certain
    origin: Origin = "kb eval" if kept else "usual" if measured else "none"
    return ChosenFloors(Floors(refuse, max(refuse, certain)), origin if settings.floor is None else "settings")


def floors_at(settings: Settings, measured: bool, snapshot: Snapshot) -> Floors:
    """The floors in use for a state of the store; see choose_floors."""
    return choose_floors(settings, snapshot, measured).floors


def _kept(snapshot: Snapshot) -> Floors | None:
    kept = snapshot.meta(META)
    if not isinstance(kept, Mapping) or kept.get("measured with") != _means(snapshot):
        return None
    return Floors(float(kept["refuse"]), float(kept["certain"]))


def _means(snapshot: Snapshot) -> dict[str, Any]:
    """Identifies everything that evidence depends on."""
    evidence = {"same language": dict(EVIDENCE), "across": dict(CROSS_LINGUAL)}
    return {"embedder": snapshot.meta("embedder"), "keywords": keywords.rules(), "evidence": evidence}
