"""Uploads that reach another machine than that of their session: a balancer without sticky sessions sends them
anywhere. They wait in the folder of uploads, which the machines share, until their session reads them.

Streamlit keeps the uploads of its own sessions in memory, and refuses others.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.options import MEGABYTE, MOST_MEGABYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER = ".arriving"
UPLOAD = "/_stcore/upload_file"

_ADDRESS = re.compile(rf"{UPLOAD}/(?P<session>[0-9a-f-]{{36}})/(?P<file>[0-9a-f-]{{36}})")
_ANY = "application/octet-stream"
_KEPT_S = 3600
_AROUND = 64 * 1024
"""Most bytes of a request around its file."""


@dataclass(frozen=True, slots=True)
class StrayUploads:
    """The uploads that wait in a folder."""

    folder: Path

    def put(self, session: str, file: str, name: str, kind: str, data: bytes) -> None:
        """Keep one until `take`, an hour at most."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.iterdir():
            with suppress(OSError):  # another machine was first
                if time.time() - old.stat().st_mtime > _KEPT_S:
                    old.unlink()
        part = self.folder / f".part-{uuid.uuid4().hex}"
        try:
            part.write_bytes(json.dumps([name, kind]).encode() + b"\n" + data)
            part.replace(self._place(session, file))
        finally:
            part.unlink(missing_ok=True)

    def take(self, session: str, file: str) -> tuple[str, str, bytes] | None:
        """Name, type and content of one, which doesn't wait any more; None if it doesn't wait here."""
        place = self._place(session, file)
        try:
            head, _, data = place.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        self.drop(session, file)
        name, kind = json.loads(head)
        return name, kind, data

    def drop(self, session: str, file: str) -> None:
        self._place(session, file).unlink(missing_ok=True)

    def held(self) -> int:
        """Bytes of all that wait."""
        found = 0
        with suppress(FileNotFoundError):
            for one in self.folder.iterdir():
                with suppress(OSError):
                    found += one.stat().st_size
        return found

    def deliver_to(self, manager: Any) -> None:
        """Have Streamlit's manager of uploads find them, when a session of this machine reads its own."""
        from streamlit.runtime.uploaded_file_manager import UploadedFileRec

        here = manager.get_files

        def get_files(session_id: str, file_ids: Sequence[str]) -> Any:
            for file in file_ids:
                if not here(session_id, [file]) and (found := self.take(session_id, file)):
                    manager.add_file(session_id, UploadedFileRec(file, *found))
            return here(session_id, file_ids)

        manager.get_files = get_files

    def _place(self, session: str, file: str) -> Path:
        return self.folder / f"{session}.{file}"


class StrayMiddleware:
    """ASGI middleware behind the gate: takes the uploads of sessions that this machine doesn't have."""

    def __init__(self, app: ASGIApp, strays: StrayUploads) -> None:
        self.app, self.strays = app, strays

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["type"] == "http" else ""
        found = _ADDRESS.fullmatch(scope["path"]) if method in ("PUT", "DELETE") else None
        if found and method == "DELETE":
            self.strays.drop(**found.groupdict())
        if found is None or _is_here(found["session"]):
            await self.app(scope, receive, send)
            return
        status = await self._keep(scope, receive, **found.groupdict()) if method == "PUT" else 204
        from starlette.responses import Response

        await Response(status_code=status)(scope, receive, send)

    async def _keep(self, scope: Scope, receive: Receive, session: str, file: str) -> int:
        """Returns the status of the answer."""
        from starlette.concurrency import run_in_threadpool
        from starlette.datastructures import UploadFile
        from starlette.exceptions import HTTPException
        from starlette.requests import Request

        request = Request(scope, receive)
        if int(request.headers["content-length"]) > MOST_MEGABYTES * MEGABYTE + _AROUND:  # the gate requires it
            return 413
        try:
            async with request.form() as form:
                sent = [one for one in form.values() if isinstance(one, UploadFile)]
                if len(sent) != 1:
                    return 400
                name, kind, data = sent[0].filename or "", sent[0].content_type or _ANY, await sent[0].read()
        except HTTPException as refused:  # it is no form
            return refused.status_code
        await run_in_threadpool(self.strays.put, session, file, name, kind, data)
        return 204


def _is_here(session: str) -> bool:
    from streamlit import runtime

    return runtime.get_instance().is_active_session(session)
