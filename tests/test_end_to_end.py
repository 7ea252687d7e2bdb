"""From a folder of documents to cited answers over several turns, with the real models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.answering.reply import Reply
from kb_assistant.errors import ModelError
from kb_assistant.llm.llamacpp import LlamaCppChat
from tests.real import RememberedEmbeddings
from tests.samples import SAMPLE_DOCS
from tests.shell import kb

pytestmark = pytest.mark.engine

FOUNDER = "Who founded the Corran Lighthouse Cooperative?"
TOWER = "白鹭洲有观鸟塔吗？"


def cites_the_line(reply: Reply, file: Path, fact: str) -> bool:
    """Whether a citation points to that file, at lines that hold the fact."""
    lines = file.read_text(encoding="utf-8").splitlines()
    for citation in reply.citations:
        if citation.hit.source == str(file) and citation.hit.locator.lines:
            first, last = citation.hit.locator.lines
            if fact in "\n".join(lines[first - 1 : last]):
                return True
    return False


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE_DOCS, tmp_path / "docs"))


@pytest.fixture
def base(home: Path, docs: Path, real_embedder: RememberedEmbeddings) -> Iterator[KnowledgeBase]:
    """A knowledge base of its own over a copy of the sample documents."""
    with KnowledgeBase(Settings(home=home, model="extract"), embedder=real_embedder) as base:
        report = base.ingest(docs)
        assert (report.failed, report.added) == (0, len(report.files)), list(report)
        yield base


def test_two_turns_in_english_with_quotes(sample_kb: KnowledgeBase) -> None:
    file = sample_kb.settings.home.parent / "docs" / "en" / "lighthouse-cooperative.md"
    first = sample_kb.ask(FOUNDER)
    assert "Alasdair Munn" in first.answer
    assert cites_the_line(first, file, "Alasdair Munn")
    second = sample_kb.ask("and who runs it now?", history=[first.turn])
    assert "Bridget Hallam" in second.answer
    assert cites_the_line(second, file, "Bridget Hallam")
    assert all(citation.supported for citation in (*first.citations, *second.citations))


def test_two_turns_in_chinese_with_quotes(sample_kb: KnowledgeBase) -> None:
    file = sample_kb.settings.home.parent / "docs" / "zh" / "湿地观测站.md"
    first = sample_kb.ask(TOWER)
    assert "观鸟塔" in first.answer
    second = sample_kb.ask("它什么时候开放？", history=[first.turn])
    assert "6:30至11:30" in second.answer
    assert cites_the_line(second, file, "6:30至11:30")


def test_an_edited_file_answers_anew_and_a_deleted_one_is_never_cited_again(
    base: KnowledgeBase, docs: Path
) -> None:
    file = docs / "en" / "lighthouse-cooperative.md"
    before = base.ask(FOUNDER)
    assert "Alasdair Munn" in before.answer
    file.write_text(file.read_text(encoding="utf-8").replace("Alasdair Munn", "Greta Lindgren"), encoding="utf-8")
    report = base.ingest(docs)
    assert (report.updated, report.embedded) == (1, 1), "only the passage that changed is embedded"
    after = base.ask(FOUNDER)
    assert "Greta Lindgren" in after.answer
    assert cites_the_line(after, file, "Greta Lindgren")
    assert all("Alasdair Munn" not in hit.text for hit in after.hits)
    file.unlink()
    report = base.ingest(docs)
    assert report.removed == 1
    told = [before.turn, after.turn]
    for reply in (base.ask(FOUNDER), base.ask("and who runs it now?", history=told)):
        assert str(file) not in {hit.source for hit in reply.hits}
        assert str(file) not in {citation.hit.source for citation in reply.citations}
        assert "Lindgren" not in reply.answer
    assert base.verify().sound


def test_a_new_file_is_found_by_its_own_words_at_once(base: KnowledgeBase, docs: Path) -> None:
    (docs / "zh" / "新.md").write_text("# 钥匙\n\n备用钥匙放在蓝色陶罐里。\n", encoding="utf-8")
    assert base.ingest(docs).added == 1
    reply = base.ask("备用钥匙放在哪里？")
    assert "蓝色陶罐" in reply.answer
    assert cites_the_line(reply, docs / "zh" / "新.md", "蓝色陶罐")


@pytest.fixture(scope="module")
def smollm(models_home: Path) -> LlamaCppChat:
    path = next((models_home / "models" / "smollm2-135m-instruct").glob("*.gguf"))
    return LlamaCppChat(model_path=path, languages=("en",), max_tokens=32, threads=1)


def test_a_language_model_streams_cites_and_counts(
    sample_kb: KnowledgeBase, smollm: LlamaCppChat, real_embedder: RememberedEmbeddings
) -> None:
    settings = sample_kb.settings.but(k=1)
    file = settings.home.parent / "docs" / "en" / "lighthouse-cooperative.md"
    with KnowledgeBase(settings, embedder=real_embedder, chat_model=smollm) as base:
        reply = base.ask(FOUNDER)
        assert "Alasdair Munn" in reply.hits[0].text
        pieces = list(reply)
    assert len(pieces) > 3
    assert "".join(pieces).strip() == reply.answer
    assert "Munn" in reply.answer
    assert cites_the_line(reply, file, "Alasdair Munn")
    usage = reply.usage
    assert usage.prompt_tokens is not None
    assert 100 < usage.prompt_tokens < smollm.context_tokens - 32
    assert usage.completion_tokens is not None
    assert 3 < usage.completion_tokens <= 32
    assert usage.tokens_per_s is not None


@pytest.fixture
def served(smollm: LlamaCppChat, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of an OpenAI-compatible server, whose key is in the environment."""
    pytest.importorskip("langchain_openai")
    monkeypatch.setenv("OPENAI_API_KEY", smollm.server.key)
    return f"{smollm.server.address}/v1"


def test_a_server_that_speaks_the_openai_protocol_answers_alike(
    sample_kb: KnowledgeBase, served: str, real_embedder: RememberedEmbeddings
) -> None:
    settings = sample_kb.settings.but(model="openai:smollm2", base_url=served, k=1, max_tokens=32)
    with KnowledgeBase(settings, embedder=real_embedder) as base:
        reply = base.ask(FOUNDER)
        pieces = list(reply)
    assert len(pieces) > 3
    assert "Munn" in reply.answer
    assert reply.citations
    assert reply.usage.prompt_tokens is not None, "the server tells what it counted"
    assert reply.usage.completion_tokens is not None


@pytest.mark.usefixtures("remembering")
def test_a_server_with_another_key_is_an_error_in_two_lines(
    sample_home: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    monkeypatch.setenv("KB_BASE_URL", served)
    done = kb("ask", FOUNDER, "-m", "openai:smollm2", home=sample_home)
    assert done.code == 2
    assert done.stderr.startswith("kb: The chat model failed: ")
    assert len(done.stderr.splitlines()) == 2


def test_a_server_that_is_not_there_is_an_error(
    sample_kb: KnowledgeBase, real_embedder: RememberedEmbeddings
) -> None:
    settings = sample_kb.settings.but(model="openai:none", base_url="http://127.0.0.1:9/v1", k=1)
    with KnowledgeBase(settings, embedder=real_embedder) as base:
        reply = base.ask(FOUNDER)
        assert reply.hits
        with pytest.raises(ModelError, match="The chat model failed"):
            _ = reply.answer
