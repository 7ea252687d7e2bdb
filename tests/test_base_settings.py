"""What a knowledge base has of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_assistant.base_settings import OWN, own_settings, with_own, write_own
from kb_assistant.errors import SettingsError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.stores import home_of, store_of

pytestmark = pytest.mark.usefixtures("either_store")


def own(home: Path, kb: str, text: str) -> Settings:
    home_of(home).update(f"kbs/{kb}/kb.toml", lambda _: text, what="")
    return Settings(home=home, kb=kb, store=store_of(home))


def test_it_counts_for_more_than_the_home_and_for_less_than_flags_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_STORE", store_of(tmp_path))
    (tmp_path / "kb.toml").write_text('role = "You are a clerk."\nanswer_length = "long"\n')
    own(tmp_path, "tea", 'role = "You are a gardener."\nanswer_language = "zh"\n')
    with KnowledgeBase.open("tea", home=tmp_path) as tea, KnowledgeBase.open("boats", home=tmp_path) as boats:
        assert (tea.settings.role, tea.settings.answer_language) == ("You are a gardener.", "zh")
        assert (boats.settings.role, boats.settings.answer_language) == ("You are a clerk.", "")
        assert tea.settings.answer_length == "long"
    with KnowledgeBase.open("tea", home=tmp_path, role="You are a sailor.") as base:
        assert base.settings.role == "You are a sailor."
    monkeypatch.setenv("KB_ANSWER_LANGUAGE", "de")
    with KnowledgeBase.open("tea", home=tmp_path) as base:
        assert base.settings.answer_language == "de"


def test_writing_keeps_the_other_lines_and_none_takes_one_out(tmp_path: Path) -> None:
    settings = own(tmp_path, "tea", '# ours\nanswer_language = "zh"\n')
    write_own(settings, "role", "You are a gardener.")
    write_own(settings, "answer_language", None)
    assert own_settings(settings) == {"role": "You are a gardener."}
    assert "# ours" in home_of(tmp_path).text("kbs/tea/kb.toml").text  # type: ignore[union-attr]
    assert with_own(settings).role == "You are a gardener."


@pytest.mark.parametrize(
    ("name", "value"),
    [("role", "two\nlines"), ("answer_length", "gigantic"), ("answer_language", "1"), ("model", "openai:x")],
)
def test_what_is_not_possible_is_refused_and_nothing_written(tmp_path: Path, name: str, value: str) -> None:
    settings = own(tmp_path, "tea", "")
    with pytest.raises(SettingsError):
        write_own(settings, name, value)
    assert own_settings(settings) == {}


def test_other_settings_in_its_file_are_refused_by_name(tmp_path: Path) -> None:
    """Among them such as would send questions to another machine."""
    settings = own(tmp_path, "tea", 'base_url = "http://192.0.2.1"\n')
    with pytest.raises(SettingsError, match="base_url") as caught:
        own_settings(settings)
    assert all(name in caught.value.hint for name in OWN)


def test_taken_over_the_length_goes_with_the_longest_answer(tmp_path: Path) -> None:
    settings = own(tmp_path, "tea", "").but(model="openai:any", base_url="http://127.0.0.1:9/v1")
    embedder: Any = HashEmbeddings()
    with KnowledgeBase(settings, embedder=embedder) as kb:
        models = [kb.chat_model, kb.another_model("openai:other")]
        write_own(settings, "answer_length", "long")
        kb.take_over(with_own(settings))
        longer = [kb.chat_model, kb.another_model("openai:other")]
    limits = [[one.max_tokens for one in each] for each in (models, longer)]  # type: ignore[attr-defined]
    assert all(short < long for short, long in zip(*limits, strict=True)), limits
