"""Uploads for sessions of other machines: kept until they are read, within limits."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from ui import stray_uploads
from ui.stray_uploads import UPLOAD, StrayMiddleware, StrayUploads

HERE, ELSEWHERE = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.fixture
def strays(tmp_path: Path) -> StrayUploads:
    return StrayUploads(tmp_path / "uploads" / ".arriving")


@pytest.fixture
def client(strays: StrayUploads, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A page with one session."""
    monkeypatch.setattr(stray_uploads, "_is_here", lambda session: session == HERE)

    async def own(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.method} by Streamlit")

    routes = [Route("/{path:path}", own, methods=["GET", "PUT", "DELETE"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(StrayMiddleware, strays=strays)]))


def address(session: str) -> tuple[str, str]:
    file = str(uuid.uuid4())
    return file, f"{UPLOAD}/{session}/{file}"


def test_a_session_elsewhere_finds_its_upload_once_it_reads_it(client: TestClient, strays: StrayUploads) -> None:
    file, url = address(ELSEWHERE)
    sent = client.put(url, files={"x": ("深/pump.md", b"The pump\nis red.", "text/markdown")})
    assert (sent.status_code, sent.text) == (204, "")
    assert strays.held() > len(b"The pump\nis red.")
    manager = MemoryUploadedFileManager(UPLOAD)
    strays.deliver_to(manager)
    for _time in range(2):  # the second time from memory
        (found,) = manager.get_files(ELSEWHERE, [file, str(uuid.uuid4())])
        assert (found.name, found.type, found.data) == ("深/pump.md", "text/markdown", b"The pump\nis red.")
        assert strays.held() == 0
    manager.remove_session_files(ELSEWHERE)
    assert manager.get_files(ELSEWHERE, [file]) == []


def test_sessions_of_this_machine_and_other_addresses_are_left_to_streamlit(
    client: TestClient, strays: StrayUploads
) -> None:
    for url in (address(HERE)[1], f"{UPLOAD}/../../{ELSEWHERE}", f"{UPLOAD}/x/{ELSEWHERE}", "/other"):
        assert client.put(url, files={"x": ("pump.md", b"red")}).text == "PUT by Streamlit"
    assert client.get(address(ELSEWHERE)[1]).text == "GET by Streamlit"
    assert strays.held() == 0


def test_what_is_taken_back_is_forgotten(client: TestClient, strays: StrayUploads) -> None:
    file, url = address(ELSEWHERE)
    client.put(url, files={"x": ("pump.md", b"red")})
    assert client.delete(url).status_code == 204
    assert strays.take(ELSEWHERE, file) is None


def test_what_is_no_upload_or_too_large_is_refused(
    client: TestClient, strays: StrayUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = address(ELSEWHERE)[1]
    assert client.put(url, files=[("x", ("a.md", b"a")), ("y", ("b.md", b"b"))]).status_code == 400
    assert client.put(url, content=b"no form").status_code == 400
    assert client.put(url, data={"x": "a field"}).status_code == 400
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert client.put(url, content=b"--y", headers=broken).status_code == 400
    monkeypatch.setattr(stray_uploads, "MOST_MEGABYTES", 0)
    assert client.put(url, files={"x": ("a.md", b"a" * 70_000)}).status_code == 413
    assert strays.held() == 0


def test_what_nobody_reads_is_gone_after_an_hour(client: TestClient, strays: StrayUploads) -> None:
    file, url = address(ELSEWHERE)
    client.put(url, files={"x": ("pump.md", b"red")})
    long_ago = time.time() - 3700
    for one in strays.folder.iterdir():
        os.utime(one, (long_ago, long_ago))
    client.put(address(ELSEWHERE)[1], files={"x": ("pump.md", b"red")})
    assert strays.take(ELSEWHERE, file) is None
    assert len(list(strays.folder.iterdir())) == 1
