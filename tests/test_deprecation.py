"""Names that have changed: the old ones work on, with a DeprecationWarning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.models.home import ModelHome
from kb_assistant.retrieval.result import Thresholds
from tests.law import small_kb
from tests.samples import DATA


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
            found = kb.verify(mend=True)
        with pytest.warns(DeprecationWarning, match="to_reingest"):
            assert (found.sound, found.lost) == (True, ())
    assert len(told) >= 3
    assert ended


def test_old_settings_work_with_a_warning(tmp_path: Path) -> None:
    made: Any = Settings
    for make in (
        lambda: made(home=tmp_path, floor=0.3, certain=0.6),
        lambda: made.load(home=tmp_path, floor=0.3, certain=0.6),
        lambda: made(home=tmp_path).but(floor=0.3, certain=0.6),
        lambda: KnowledgeBase.open(home=tmp_path, floor=0.3, certain=0.6).settings,
    ):
        with pytest.warns(DeprecationWarning, match="uncertain_below") as given:
            settings = make()
        assert {Path(one.filename).name for one in given} == {Path(__file__).name}
        assert (settings.refuse_below, settings.uncertain_below) == (0.3, 0.6)
    with pytest.warns(DeprecationWarning, match="refuse_below"):
        assert settings.floor == 0.3
    with pytest.warns(DeprecationWarning, match="uncertain_below"):
        assert settings.certain == 0.6
    for both in (made, made.load, made(home=tmp_path).but):
        with pytest.raises(TypeError, match="floor and refuse_below"):
            both(home=tmp_path, floor=0.3, refuse_below=0.3)


def test_old_names_of_thresholds_work_with_a_warning(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("The heron nests.")
    with small_kb(tmp_path / "home") as opened:
        kb: Any = opened
        kb.ingest(docs)
        with pytest.warns(DeprecationWarning, match="keep_thresholds"):
            kb.keep_floors(Thresholds(0.2, 0.4))
        with pytest.warns(DeprecationWarning, match="thresholds"):
            floors = kb.floors
        with pytest.warns(DeprecationWarning, match="refuse_below"):
            assert floors.refuse == 0.2
        with pytest.warns(DeprecationWarning, match="uncertain_below"):
            assert floors.certain == 0.4
        found = kb.retrieve("heron")
        with pytest.warns(DeprecationWarning, match="thresholds"):
            assert found.floors == found.thresholds == Thresholds(0.2, 0.4)


def test_old_arguments_of_models_work_with_a_warning(tmp_path: Path) -> None:
    from kb_assistant.chatglm2 import load_model

    home: Any = ModelHome(tmp_path)
    folder, told = DATA / "chatglm2" / "tiny-chatglm2-int4", []
    with pytest.warns(DeprecationWarning, match="on_message"):
        home.add(folder, "m", engine="torch", say=told.append, progress=told.append)
    assert told
    shares: list[float] = []
    load: Any = load_model
    with pytest.warns(DeprecationWarning, match="on_progress"):
        load(folder, say=shares.append)
    assert shares[-1] == 1.0
