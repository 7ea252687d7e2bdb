"""What went wrong with a request, and how each protocol says it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from kb_assistant.errors import (
    BusyError,
    EmbedderMismatch,
    ForbiddenError,
    KBError,
    ModelError,
    NotFoundError,
    QuestionError,
    SettingsError,
)
from kb_assistant.messages import Message, _, without_folders


class UnauthorizedError(KBError):
    """The request has no valid token."""


class MalformedTokenError(UnauthorizedError):
    """The request's Authorization isn't `Bearer TOKEN`."""


class TooLargeError(KBError):
    """The request is longer than is read."""


class ConflictError(KBError):
    """It doesn't go with what is there already."""


class UnreadableError(KBError):
    """A document was sent that can't be read."""


class LaterError(KBError):
    """It isn't done now.

    Attributes:
        retry_after: Seconds until it may be worth to try again.
    """

    def __init__(self, message: Message, retry_after: int) -> None:
        super().__init__(message, _("Try again in {seconds} seconds.", seconds=retry_after))
        self.retry_after = retry_after


class FullError(LaterError):
    """Too many requests wait."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(_("Too many requests wait."), retry_after)


class GuessingError(LaterError):
    """Too many wrong tokens came from one address. Right ones still pass, or one client whose token has expired
    would lock out all others behind its proxy; they are too long to be guessed."""

    def __init__(self) -> None:
        super().__init__(_("Too many wrong tokens came from this address."), 60)


class OwnError(BaseModel):
    """How an error looks."""

    error: str
    hint: str = Field(default="", description="What to do.")


class OpenAIProblem(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAIError(BaseModel):
    """How an error looks to OpenAI's clients."""

    error: OpenAIProblem


class DifyError(BaseModel):
    """How an error looks to Dify."""

    error_code: int
    error_msg: str


_STATUS: tuple[tuple[type[KBError], int], ...] = (
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (UnauthorizedError, 401),
    (TooLargeError, 413),
    (ConflictError, 409),
    (UnreadableError, 422),
    (LaterError, 429),
    (QuestionError, 400),
    (SettingsError, 400),
    (BusyError, 409),
    (EmbedderMismatch, 409),
    (ModelError, 503),
)

_CODES = {
    400: "invalid_value",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
}
_DIFY_CODES = {401: 1002, 403: 1002, 404: 2001}


def status_of(error: KBError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def told_error(error: KBError) -> KBError:
    """What is sent of an error: names for the paths that the server put in it. Its log has the whole."""
    if isinstance(error, QuestionError | NotFoundError):  # it says again what was asked for
        return error
    return KBError(without_folders(error.message), without_folders(error.hint))


def error_response(path: str, error: KBError, status: int | None = None) -> Response:
    """The answer to a failed request in the form of the protocol that the path belongs to."""
    status = status or status_of(error)
    if path.startswith("/retrieval") and status == 401:
        status = 403  # as Dify's document wants it
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, LaterError):
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, BusyError):
        headers["Retry-After"] = "5"
    elif status >= 500:
        headers["x-should-retry"] = "false"  # for OpenAI's clients: the same would happen again
    return JSONResponse(error_body(path, error, status), status, headers)


def error_body(path: str, error: KBError, status: int | None = None) -> dict[str, Any]:
    status = status or status_of(error)
    if path.startswith("/v1/"):
        return openai_error(error, status)
    if path.startswith("/retrieval"):
        code = 1001 if isinstance(error, MalformedTokenError) else _DIFY_CODES.get(status, status)
        return {"error_code": code, "error_msg": str(told_error(error).full_message)}
    return told_error(error).to_json()


def openai_error(error: KBError, status: int | None = None) -> dict[str, Any]:
    status = status or status_of(error)
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    code = "model_not_found" if isinstance(error, NoSuchModelError) else _CODES.get(status)
    return {"error": {"message": str(told_error(error).full_message), "type": kind, "param": None, "code": code}}


class NoSuchModelError(NotFoundError):
    """There is no model of this name, or it stands for a knowledge base that the caller may not read."""

    def __init__(self, name: str) -> None:
        super().__init__(_("There is no model {name!r}.", name=name), _("GET /v1/models lists the models."))
