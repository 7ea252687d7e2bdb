"""The ASGI application: all routes, and the errors of each protocol in its own form."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from kb_assistant.errors import ForbiddenError, KBError, NotFoundError, QuestionError
from kb_assistant.messages import _
from kb_assistant.serve import catalogue, chat, dify, documents, responses, search
from kb_assistant.serve.errors import DifyError, OpenAIError, OwnError, TooLargeError, error_response, status_of
from kb_assistant.serve.gate import Gate
from kb_assistant.serve.metrics import CONTENT_TYPE
from kb_assistant.serve.service import Desking, Service, Serving
from kb_assistant.workspace.rights import Principal

_log = logging.getLogger(__name__)

PREFIXES = ("/v1/", "/api/v1/", "/kb/", "/retrieval", "/mcp", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""The paths of this application, where it shares an address with the page."""

_DESCRIPTION = """Ask your own documents. `/v1` speaks OpenAI's protocol, `/retrieval` Dify's, `/api/v1` this
server's own. Send the token as `Authorization: Bearer TOKEN`."""

_LISTED = 5

_TOKEN = Depends(HTTPBearer(auto_error=False, scheme_name="token", description="The gate checks it."))
"""For the description alone."""

server = APIRouter(tags=["Server"])


def _errors(form: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """How a protocol's errors are described."""
    return {
        "4XX": {"model": form, "description": "It can't be done as asked for."},
        "5XX": {"model": form, "description": "The server can't do it now."},
    }


@server.head("/healthz", include_in_schema=False)
@server.get("/healthz", response_class=PlainTextResponse)
def healthz() -> str:
    """Whether it runs. Needs no token."""
    return "ok"


@server.head("/readyz", include_in_schema=False, response_model=None)
@server.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "It loads."}})
def readyz(service: Serving) -> Response:
    """Whether what the first question needs is loaded; else 503. Needs no token."""
    return PlainTextResponse("ok") if service.ready else PlainTextResponse("loading", 503)


@server.get(
    "/metrics",
    response_model=None,
    dependencies=[_TOKEN],
    responses={200: {"content": {"text/plain": {}}}, **_errors(OwnError)},
)
def metrics(service: Serving, desk: Desking) -> Response:
    """Counters for Prometheus, for who may manage the server."""
    if not desk.principal.is_admin:
        raise ForbiddenError(_("You may not see this."))
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def api(service: Service) -> FastAPI:
    """The routes, without the gate."""
    # The pages that FastAPI makes of the description load scripts from elsewhere.
    app = FastAPI(
        title="kb-assistant",
        version=version("kb-assistant"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    for router, form in (
        (search.router, OwnError),
        (documents.router, OwnError),
        (chat.router, OpenAIError),
        (responses.router, OpenAIError),
        (catalogue.router, OpenAIError),
        (dify.router, DifyError),
    ):
        app.include_router(router, responses=_errors(form), dependencies=[_TOKEN])
    app.include_router(server)
    app.add_exception_handler(KBError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _failed)
    return app


def gated(
    service: Service,
    mcp: ASGIApp,
    *,
    any_host: bool = False,
    signed_in: Callable[[dict[str, str]], Principal | None] = lambda _: None,
) -> ASGIApp:
    """The routes, with MCP beside them, behind the gate; see Gate for the other arguments."""
    routes = api(service)

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        await (mcp if scope["path"] == "/mcp" else routes)(scope, receive, send)

    most = service.settings.file_megabytes * 1_000_000
    return Gate(
        both,
        service.principal,
        service.metrics,
        any_host=any_host,
        signed_in=signed_in,
        document_bytes=most,
    )


async def _refused(request: Request, error: Any) -> Response:
    if status_of(error) >= 500:
        _log.warning("%s", error.full_message)
    return error_response(request.url.path, error)


async def _invalid(request: Request, error: Any) -> Response:
    """A body of the wrong form: 400, with the places."""
    places = [f"{'.'.join(map(str, one['loc'][1:])) or one['loc'][0]}: {one['msg']}" for one in error.errors()]
    problem = QuestionError(_("The request has the wrong form: {places}", places="; ".join(places[:_LISTED])))
    return error_response(request.url.path, problem)


async def _http_error(request: Request, error: Any) -> Response:
    path, status = request.url.path, error.status_code
    kinds: dict[int, KBError] = {
        404: NotFoundError(_("There is nothing at {path}.", path=path), _("GET /openapi.json lists the routes.")),
        413: TooLargeError(str(error.detail)),
    }
    return error_response(path, kinds.get(status, KBError(str(error.detail))), status)


async def _left(*_: Any) -> Response:
    return Response(status_code=499)


async def _failed(request: Request, error: Any) -> Response:
    _log.error("A request failed.", exc_info=error)
    return error_response(request.url.path, KBError(_("The server failed."), _("Its log says why.")), 500)
