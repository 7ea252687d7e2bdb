"""Files that the page makes for its user: each has an address that asks again, each time, whether it may be read.

Streamlit's own addresses for files open to everybody who is signed in, so that the gate closes them.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import streamlit as st

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

PREFIX = "/download/"
_TYPES = {"md": "text/markdown", "json": "application/json"}


def download(label: str, address: str) -> None:
    """A link that downloads what is at this address below PREFIX."""
    st.html(f'<a class="kb-download" href="{PREFIX}{quote(address)}" download>{html.escape(label)}</a>')


def routes() -> list[Route]:
    from starlette.routing import Route

    return [
        Route(f"{PREFIX}chats/{{form}}/{{chat}}", _chat),
        Route(f"{PREFIX}documents/{{base}}/{{chunk}}", _document),
    ]


def _chat(request: Request) -> Response:
    """A conversation of whoever is signed in, as a file."""
    from starlette.responses import PlainTextResponse, Response

    from kb_assistant import KBError
    from ui.app_state import desk_of

    form, chat = request.path_params["form"], request.path_params["chat"]
    conversations = desk_of(request.cookies).conversations
    try:
        name = re.sub(r"[^\w-]+", "-", conversations.get(chat).title).strip("-")[:60] or "conversation"
        text = conversations.export(chat, form if form == "json" else "md")
    except KBError:
        return PlainTextResponse("There is nothing here.", 404)
    return Response(text, headers=_headers(f"{name}.{form}"), media_type=_TYPES.get(form, "text/plain"))


def _document(request: Request) -> Response:
    """The file of a document that whoever is signed in may read, by one of its chunks."""
    from starlette.responses import PlainTextResponse, Response

    from kb_assistant import KBError
    from ui.app_state import desk_of

    try:
        base = desk_of(request.cookies).base(request.path_params["base"])
        path = base.chunk(request.path_params["chunk"]).source
        data = base.original(path)
    except KBError:
        return PlainTextResponse("There is nothing here.", 404)
    name = path.rsplit("/", 1)[-1]
    return Response(data, headers=_headers(name), media_type="application/octet-stream")


def _headers(name: str) -> dict[str, Any]:
    return {
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}",
        "Cache-Control": "no-store",
    }
