"""Checks that sources, chunks, texts, vectors, keyword index and FAISS agree, and repairs them if they don't.

A repair keeps every completely sound source; the next ingest reads the others again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from kb_assistant.deprecation import renamed_attribute
from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.types import MissingFiles


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of a verification.

    Attributes:
        faults: In words; empty if everything that was checked agrees.
        repaired: True if the faults were repaired.
        to_reingest: Sources that have to be read again after a repair.
        unchecked: What couldn't be checked now and why, in words; usually empty.
        missing: Sources that have no file now, which is no fault.
    """

    faults: tuple[str, ...]
    repaired: bool = False
    to_reingest: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    missing: MissingFiles = field(default_factory=MissingFiles)

    lost = renamed_attribute("lost", "to_reingest")

    @property
    def sound(self) -> bool:
        return not self.faults or self.repaired

    def to_json(self) -> dict[str, Any]:
        return {
            "faults": list(self.faults),
            "repaired": self.repaired,
            "lost": list(self.to_reingest),
            "unchecked": list(self.unchecked),
            "missing": self.missing.to_json(),
        }


class Checkable(Protocol):
    """A store of one engine, as it is checked and repaired."""

    def check(self, index: DenseIndex) -> VerifyReport:
        """All disagreements.

        Raises:
            StoreError: it can't be read now, which says nothing about its content.
        """

    def writing(self, patience: float) -> AbstractContextManager[None]:
        """Hold the writer's lock."""

    def repair(self) -> tuple[str, ...]:
        """Keep what is sound. Returns the sources that are lost until they are read again.

        The caller holds the writer's lock. A kill at any moment leaves all of the old state or all of the new one.

        Raises:
            StoreError: it can't be written.
        """


def verify(store: Checkable, index: DenseIndex, patience: float, repair: bool) -> VerifyReport:
    """See KnowledgeBase.verify.

    Args:
        patience: Seconds that a repair waits for one other writer.
    """
    report = store.check(index)
    if not report.faults or not repair:
        return report
    with store.writing(patience):
        report = store.check(index)  # another process may have repaired it meanwhile
        if not report.faults:
            return report
        to_reingest = store.repair()
        index.forget()
        after = store.check(index)
    return VerifyReport(report.faults, not after.faults, to_reingest, after.unchecked)
