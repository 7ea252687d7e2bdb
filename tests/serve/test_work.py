"""Clients that leave stop what runs for them, and no more wait than may."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.serve.running import ModelledWorkspace, running
from tests.waiting import until

JSON = {"content-type": "application/json"}
_QUESTION = {"role": "user", "content": "When does the boat sail?"}
ASKED: dict[str, Any] = {"model": "kb/default", "messages": [_QUESTION]}


def _workspace(tmp_path: Path, model: ScriptedChat) -> ModelledWorkspace:
    settings = Settings(home=tmp_path / "home", refuse_below=0.0, answer_reader="off")
    made = ModelledWorkspace(settings, HashEmbeddings(), model)
    made.base("default").add(["The boat sails at dawn."])
    return made


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _slow(pieces: int, seconds: float) -> ScriptedChat:
    said: list[Any] = []
    for _ in range(pieces):
        said += [lambda: time.sleep(seconds), "word "]
    return ScriptedChat(pieces=said)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_model_within_a_token(tmp_path: Path, stream: bool) -> None:
    model = _slow(400, 0.05)
    with running(_workspace(tmp_path, model)) as server:
        url = f"{server.url}/v1/chat/completions"
        if stream:
            with httpx.stream("POST", url, json=ASKED | {"stream": True}):
                until(lambda: model.said > 3)
        else:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url, json=ASKED, timeout=1.0)
        until(lambda: server.service.answers.inside == 0)
        said = model.said
        time.sleep(0.3)
        assert model.said == said < 200


def test_no_more_wait_than_may(tmp_path: Path) -> None:
    go = threading.Event()
    model = ScriptedChat(pieces=[lambda: go.wait(60), "at dawn"])
    with running(_workspace(tmp_path, model), waiting=1) as server:
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(httpx.post(f"{server.url}/v1/chat/completions", json=ASKED, timeout=60).status_code)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        until(lambda: server.service.answers.inside == 5)
        refused = httpx.post(f"{server.url}/v1/chat/completions", json=ASKED | {"stream": True})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert httpx.get(f"{server.url}/v1/models").status_code == 200, "the rest goes on"
        go.set()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 5


def test_silence_is_broken_and_errors_end_a_stream(tmp_path: Path) -> None:
    model = ScriptedChat(pieces=[lambda: time.sleep(1.6), "at ", OSError("the model's file is gone")])
    with running(_workspace(tmp_path, model)) as server:
        told = httpx.post(f"{server.url}/v1/chat/completions", json=ASKED | {"stream": True}, timeout=60).text
        assert ": wait\n\n" in told
        assert "the model's file is gone" in told
        assert "[DONE]" not in told


def _ask_and_leave(url: str, stream: bool) -> None:
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/v1/chat/completions", json.dumps(ASKED | {"stream": stream}), JSON)
    if stream:
        connection.getresponse().read(10)
    connection.close()


def test_two_hundred_clients_that_leave_leave_nothing(tmp_path: Path) -> None:
    model = _slow(100, 0.01)
    with running(_workspace(tmp_path, model), waiting=300) as server:
        url = f"{server.url}/v1/chat/completions"
        httpx.post(url, json=ASKED)
        threads, files = threading.active_count(), _open_files()
        for turn in range(200):
            _ask_and_leave(server.url, stream=turn % 2 == 1)
        until(lambda: server.service.answers.inside == 0)
        # Pools of threads, which are bounded and wait for more work, may have grown; 200 leavers mustn't show.
        until(lambda: threading.active_count() <= threads + 40)
        until(lambda: _open_files() <= files + 8)
        assert httpx.post(url, json=ASKED, timeout=60).status_code == 200
