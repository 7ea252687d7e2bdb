"""The MCP server over standard input and output, and over HTTP beside the other routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response

from kb_assistant.errors import KBError
from kb_assistant.serve.mcp_tools import Tools
from kb_assistant.serve.service import Service
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import Principal

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/mcp"


def run_stdio(service: Service, principal: Principal, *, writing: bool) -> None:
    """Serve one client on standard input and output, which carries the protocol alone.

    Args:
        principal: Whose rights the client has.
        writing: Whether it may change knowledge bases.
    """
    tools = Tools(service, lambda _: Desk(service.workspace, principal), lambda _: service.public_url)
    try:
        asyncio.run(tools.server(writing=writing).run_stdio_async())
    finally:
        service.close()


class McpOverHttp:
    """Streamable HTTP, without sessions. The gate before it says who asks.

    Args:
        allow_write: Whether tools that change knowledge bases exist; who may write some sees them.
    """

    def __init__(self, service: Service, *, allow_write: bool = False) -> None:
        self._service, self._allow_write = service, allow_write
        tools = Tools(
            service,
            lambda ctx: Desk(service.workspace, _request(ctx).state.principal),
            lambda ctx: service.url(_request(ctx)),
        )
        self._servers = {writing: tools.server(writing=writing) for writing in (False, True)}
        self._apps = {writing: _app(server) for writing, server in self._servers.items()}

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for server in self._servers.values():
                await stack.enter_async_context(server.session_manager.run())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":  # a stream on which, without sessions, nothing would ever be sent
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
            return
        writing = self._allow_write and _may_write(Desk(self._service.workspace, scope["state"]["principal"]))
        await _until_left(self._apps[writing], scope, receive, send)


def _request(ctx: Context) -> Request:
    found: Request | None = ctx.request_context.request
    if found is None:
        raise RuntimeError("not called over HTTP")
    return found


def _may_write(desk: Desk) -> bool:
    with suppress(KBError):
        return any(desk.base(name).may("write") for name in desk.bases())
    return False


def _app(server: MCPServer) -> ASGIApp:
    # Host and origin are checked by the gate, for all routes alike.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    return server.streamable_http_app(
        streamable_http_path=PATH, stateless_http=True, json_response=False, transport_security=security
    )


async def _until_left(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run an application; once the client has left, it is cancelled, and so is what it does."""
    last: asyncio.Task[Message] | None = None
    whole = False

    async def receiving() -> Message:
        nonlocal last, whole
        if not whole:
            message = await receive()
            whole = message["type"] == "http.disconnect" or not message.get("more_body", False)
            if whole:
                last = asyncio.ensure_future(receive())
                last.add_done_callback(lambda _: running.cancel())
            return message
        assert last is not None
        return await asyncio.shield(last)

    running = asyncio.ensure_future(app(scope, receiving, send))
    try:
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()
    finally:
        running.cancel()
        if last is not None:
            last.cancel()
