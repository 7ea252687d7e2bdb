"""Names that have changed: the old ones work on, with a DeprecationWarning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.law import small_kb


def test_old_arguments_work_with_a_warning(tmp_path: Path) -> None:
    docs, told, ended = tmp_path / "docs", [], []
    docs.mkdir()
    (docs / "a.md").write_text("The heron nests.")
    with small_kb(tmp_path / "home") as opened:
        kb: Any = opened
        with pytest.warns(DeprecationWarning, match="on_progress"):
            assert kb.ingest(docs, progress=told.append).added == 1
        with pytest.warns(DeprecationWarning, match="on_progress"):
            kb.add(["The pump is red."], progress=told.append)
        with pytest.warns(DeprecationWarning, match="on_progress"):
            assert kb.rebuild(progress=lambda *now: told.append(now))
        with pytest.warns(DeprecationWarning, match="on_message"):
            reports = kb.watch(docs, say=told.append, stop=lambda: bool(ended))
        for report in reports:
            ended.append(report)
        with pytest.warns(DeprecationWarning, match="repair"):
            assert kb.verify(mend=True).sound
    assert len(told) >= 3
    assert ended
