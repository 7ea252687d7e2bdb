"""OpenAI's protocol, with the clients openai, LangChain and llm: answers, streams, citations, vectors, errors."""

from __future__ import annotations

import base64
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.serve.running import ModelledWorkspace, Running, running
from tests.waiting import PATIENCE

pytestmark = pytest.mark.engine

QUESTION = "Who founded the station?"


@pytest.fixture(scope="module")
def server(sample_kb: KnowledgeBase, real_embedder: Any) -> Iterator[Running]:
    settings = Settings(home=sample_kb.settings.home, model="extract")
    with running(ModelledWorkspace(settings, real_embedder)) as found:
        yield found


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def _asked(text: str = QUESTION) -> Any:
    return [{"role": "user", "content": text}]


def test_models_are_the_knowledge_bases(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert names[:2] == ["kb/default", "plain"]
    assert client.models.retrieve("kb/default").owned_by == "kb-assistant"


def test_an_answer_has_its_citations_in_all_forms(client: openai.OpenAI) -> None:
    told = client.chat.completions.create(model="kb/default", messages=_asked())
    message = told.choices[0].message
    assert message.content is not None
    assert "Miriam Okafor" in message.content
    assert message.annotations
    cited = message.annotations[0].url_citation
    assert message.content[cited.start_index : cited.end_index] == "[1]"
    assert cited.title.startswith("[1] history.md, lines ")
    extra: Any = told.model_extra
    assert extra["citations"][0] == cited.url == extra["search_results"][0]["url"]
    assert extra["search_results"][0]["snippet"] == extra["kb"]["hits"][0]["text"]
    assert extra["kb"]["citations"][0]["supported"] is True
    passage = httpx.get(cited.url).json()
    assert "Miriam Okafor" in passage["text"]
    page = httpx.get(cited.url, headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "Miriam Okafor" in page.text


def test_a_stream_says_the_same(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="kb/default", messages=_asked())
    chunks = list(
        client.chat.completions.create(
            model="kb/default", messages=_asked(), stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.strip() == whole.choices[0].message.content
    last: Any = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    cited = last.choices[0].delta.model_extra["annotations"][0]["url_citation"]
    assert text[cited["start_index"] : cited["end_index"]] == "[1]"
    assert last.model_extra["kb"]["answer"] == text.strip()
    assert not chunks[-1].choices
    assert chunks[-1].usage is not None
    with client.chat.completions.stream(model="kb/default", messages=_asked()) as helped:
        final: Any = helped.get_final_completion()
    assert final.choices[0].message.annotations


def test_a_conversation_is_followed_and_options_are_heard(client: openai.OpenAI) -> None:
    said = [*_asked(), {"role": "assistant", "content": "Miriam Okafor founded it in 1987. [1]"},
            {"role": "user", "content": [{"type": "text", "text": "and in which year?"}]}]  # fmt: skip
    told: Any = client.chat.completions.create(
        model="kb/default", messages=said, temperature=0.3, tools=[], extra_body={"kb": {"k": 2}}
    )
    assert "1987" in told.choices[0].message.content
    assert len(told.model_extra["kb"]["hits"]) <= 2


def test_a_refusal_is_an_answer(client: openai.OpenAI) -> None:
    told: Any = client.chat.completions.create(
        model="kb/default", messages=_asked("What is the boiling point of tungsten on Mars?")
    )
    assert told.model_extra["kb"]["refused"] is True
    assert told.choices[0].message.refusal is None


def test_housekeeping_is_not_searched_for(client: openai.OpenAI) -> None:
    told: Any = client.chat.completions.create(
        model="kb/default", messages=_asked("### Task:\nGenerate a title for the chat about the station.")
    )
    assert "kb" not in told.model_extra
    assert "citations" not in told.model_extra


def test_responses(client: openai.OpenAI) -> None:
    told = client.responses.create(model="kb/default", input=QUESTION, instructions="Be brief.")
    assert "Miriam Okafor" in told.output_text
    part: Any = told.output[0]
    cited = part.content[0].annotations[0]
    assert told.output_text[cited.start_index : cited.end_index] == "[1]"
    with client.responses.stream(model="kb/default", input=_asked()) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_text == told.output_text
    assert kinds[0] == "response.created"
    assert "response.output_text.annotation.added" in kinds
    assert kinds[-1] == "response.completed"
    with pytest.raises(openai.BadRequestError, match="earlier responses"):
        client.responses.create(model="kb/default", input="and who?", previous_response_id="resp_1")


def test_langchain_keeps_the_citations_of_responses(server: Running) -> None:
    chat = ChatOpenAI(
        model="kb/default", base_url=f"{server.url}/v1", api_key=SecretStr("none"), use_responses_api=True
    )
    message = chat.invoke(QUESTION)
    cited = [one for block in message.content_blocks for one in block.get("annotations") or ()]
    assert cited[0]["type"] == "citation"
    assert cited[0]["title"].startswith("[1] history.md")
    merged: Any = None
    for chunk in chat.stream(QUESTION):
        merged = chunk if merged is None else merged + chunk
    assert [one["url"] for block in merged.content_blocks for one in block.get("annotations") or ()] == [
        one["url"] for one in cited
    ]
    plain = ChatOpenAI(model="kb/default", base_url=f"{server.url}/v1", api_key=SecretStr("none"))
    assert "[1]" in str(plain.invoke(QUESTION).content)


def test_llm_keeps_a_conversation(server: Running, tmp_path: Path) -> None:
    """The command-line client `llm`, set up as the documents say."""
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: docs\n  model_name: kb/default\n  api_base: {server.url}/v1\n  api_key_name: kb\n"
    )

    (tmp_path / "keys.json").write_text('{"kb": "none"}')

    def llm(*words: str) -> str:
        return subprocess.check_output(
            [sys.executable, "-m", "llm", "prompt", *words],
            env=os.environ | {"LLM_USER_PATH": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PATIENCE,
        )

    assert "Miriam Okafor" in llm("-m", "docs", QUESTION)
    assert "1987" in llm("-c", "--no-stream", "and in which year?")


def test_embeddings(client: openai.OpenAI, server: Running, sample_kb: KnowledgeBase) -> None:
    model = f"{sample_kb.settings.embedder}:query"
    found = client.embeddings.create(model=model, input=["Who founded the station?"])
    expected = sample_kb.embedder.encode_queries(["Who founded the station?"])[0]
    assert np.allclose(found.data[0].embedding, expected, atol=1e-6)
    raw = httpx.post(
        f"{server.url}/v1/embeddings", json={"model": model, "input": "x", "encoding_format": "base64"}
    )

    assert len(struct.unpack("<384f", base64.b64decode(raw.json()["data"][0]["embedding"]))) == 384
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length"):
        client.embeddings.create(model=model, input=[[1, 2, 3]])
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=sample_kb.settings.embedder, input="x")
    passages = OpenAIEmbeddings(
        model=f"{sample_kb.settings.embedder}:passage",
        base_url=f"{server.url}/v1",
        api_key=SecretStr("none"),
        check_embedding_ctx_length=False,
    )
    assert len(passages.embed_documents(["a pump"])[0]) == 384


def test_vector_stores(client: openai.OpenAI) -> None:
    (store,) = client.vector_stores.list().data
    assert client.vector_stores.retrieve(store.id).file_counts.total > 15
    found = client.vector_stores.search(store.id, query=QUESTION, max_num_results=3).data
    assert found[0].filename == "history.md"
    assert 0.5 < found[0].score <= 1
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert "Miriam Okafor" in found[0].content[0].text
    elsewhere = client.vector_stores.search(
        store.id, query=QUESTION, filters={"type": "ne", "key": "path", "value": "*/history.md"}
    )
    assert all(one.filename != "history.md" for one in elsewhere.data)
    with pytest.raises(openai.BadRequestError, match="filter"):
        client.vector_stores.search(store.id, query="x", filters={"type": "like", "key": "a", "value": "b"})  # type: ignore[typeddict-item]


def test_errors_are_openais(client: openai.OpenAI, server: Running) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="kb/nowhere", messages=_asked())
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="kb/default", messages=_asked(" "))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="kb/default", messages=_asked(), n=2)
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="kb/default", messages=[])
    with pytest.raises(openai.BadRequestError, match="condition"):
        client.chat.completions.create(model="kb/default", messages=_asked(), extra_body={"kb": {"where": ["x"]}})
    picture: Any = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    with pytest.raises(openai.BadRequestError, match="image_url"):
        client.chat.completions.create(model="kb/default", messages=picture)
    broken = httpx.post(
        f"{server.url}/v1/chat/completions", content=b"{", headers={"content-type": "application/json"}
    )
    assert broken.status_code == 400
    assert broken.json()["error"]["type"] == "invalid_request_error"
    assert httpx.get(f"{server.url}/v1/nothing").json()["error"]["code"] == "not_found"


def test_twenty_clients_at_once_all_get_their_answer(server: Running, client: openai.OpenAI) -> None:
    expected = client.chat.completions.create(model="kb/default", messages=_asked()).choices[0].message.content

    def ask(_: int) -> str | None:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as own:
            return own.chat.completions.create(model="kb/default", messages=_asked()).choices[0].message.content

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [expected] * 20
