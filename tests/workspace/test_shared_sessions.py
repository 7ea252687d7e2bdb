"""Signed-in sessions that several machines know."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.workspace.access import Access, token_digest
from kb_assistant.workspace.shared_sessions import SharedSessions
from tests.stores import home_of

pytestmark = pytest.mark.usefixtures("either_store")


def test_a_session_holds_on_all_until_it_ends_on_one(tmp_path: Path) -> None:
    now = [1000.0]
    one, two = (SharedSessions(home_of(tmp_path), lambda: now[0]) for _ in range(2))
    first, second = one.begin("digest", 60), two.begin("other", 90)
    assert [place.digest_of(first) for place in (one, two)] == ["digest", "digest"]
    assert one.digest_of("guess") == ""
    two.end(first)
    assert [place.digest_of(first) for place in (one, two)] == ["", ""]
    assert one.digest_of(second) == "other"
    now[0] += 91
    assert one.digest_of(second) == ""
    third = one.begin("digest", 60)
    assert third not in (kept := one._home.text("sessions.json").text)  # type: ignore[union-attr]
    assert "other" not in kept, "what is over is forgotten"


def test_only_a_home_of_several_machines_shares_them(tmp_path: Path, either_store: str) -> None:
    assert (Access(home_of(tmp_path)).sessions is not None) == (either_store == "postgresql")
    assert len(token_digest("x")) == 64
