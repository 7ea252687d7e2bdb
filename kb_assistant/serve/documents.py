"""The server's own API for documents: sending and removing them, reading folders, and the jobs that do it."""

from __future__ import annotations

import tempfile
import unicodedata
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from kb_assistant.errors import ForbiddenError, NotFoundError, QuestionError
from kb_assistant.messages import _
from kb_assistant.serve.errors import UnreadableError, error_body
from kb_assistant.serve.passages import source_of
from kb_assistant.serve.service import Desking, Service, Serving
from kb_assistant.serve.work import Stop
from kb_assistant.types import Report
from kb_assistant.workspace import discreet, folders
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.jobs import Job
from kb_assistant.workspace.view import View

router = APIRouter(tags=["Documents"])


@router.put(
    "/api/v1/bases/{kb}/documents/{name:path}",
    response_model=None,
    openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
)
async def put_document(kb: str, name: str, request: Request, service: Serving, desk: Desking) -> Response:
    """Add or replace a document: a file of any type that is read, as the body. Answers once it can be searched."""
    view = await run_in_threadpool(desk.base, kb, "write")
    safe = document_name(name.strip("/"))
    with tempfile.TemporaryFile() as sent:
        await _keep(request, sent)

        def add(stop: Stop) -> Report:
            sent.seek(0)
            return view.add([(safe, sent.read())], stop=stop.is_set)

        report = await service.documents.run(request, add)
    service.metrics.ingested(report)
    if report.failed:
        reason = next(row.reason for row in report if row.status == "failed")
        error = UnreadableError(_("{name} can't be read: {reason}", name=safe, reason=reason))
        return JSONResponse(error_body(request.url.path, error) | {"report": _named(view, report.to_json())}, 422)
    return JSONResponse(_named(view, report.to_json()))


def document_name(name: str) -> str:
    """The name of a document that is sent. Accents may be parted from their letters, as on macOS.

    Raises:
        QuestionError: it can't be one.
    """
    safe = folders.safe_name(name)
    if safe != unicodedata.normalize("NFC", name):
        raise QuestionError(_("{name!r} can't name a document.", name=name), _("Such as {name!r}.", name=safe))
    return safe


def _named(view: View, value: Any) -> Any:
    """A report or a job as the caller is told of it."""
    naming = view.naming()
    return value if naming is str else discreet.named(value, naming)


async def _keep(request: Request, sent: BinaryIO) -> None:
    async for piece in request.stream():
        await run_in_threadpool(sent.write, piece)


@router.delete("/api/v1/bases/{kb}/sources/{source}")
def delete_source(kb: str, source: str, desk: Desking) -> dict[str, list[str]]:
    """Forget a source by its `id`; a file on disk stays, and the next reading of its folder brings it back."""
    view = desk.base(kb, "write")
    found = source_of(view, source)
    return {"removed": list(map(view.naming(), view.remove([found.path])))}


class Ingest(BaseModel):
    folder: str = Field(description="Absolute path of a folder or file on the server, below an allowed folder.")


@router.post("/api/v1/bases/{kb}/ingest", status_code=202)
def ingest(kb: str, body: Ingest, service: Serving, desk: Desking, response: Response) -> dict[str, Any]:
    """Bring a knowledge base in step with a folder of the server. Answers at once with the job that does it."""
    view = desk.base(kb, "write")
    job = view.ingest([_allowed(service, body.folder)])
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return {"job": _shown(view, job)}


def _allowed(service: Service, folder: str) -> Path:
    """
    Raises:
        ForbiddenError: it lies below no allowed folder; whether it exists isn't told then.
        QuestionError: there is no such folder.
    """
    if not folder.startswith("/") or "\0" in folder:
        raise QuestionError(_("{folder!r} is no absolute path.", folder=folder), _("Give the whole path."))
    try:
        path = Path(folder).resolve()
    except (OSError, RuntimeError):
        path = Path("/")
    own = (service.settings.home.resolve(), service.settings.uploads_dir.resolve())  # what all users uploaded
    its_own = any(path.is_relative_to(one) or one.is_relative_to(path) for one in own)
    roots = service.folders
    if roots is not None and (its_own or not any(path.is_relative_to(root) for root in roots)):
        raise ForbiddenError(_("This folder may not be read."), _("`kb serve --folder DIR` allows DIR."))
    if not path.exists():
        raise QuestionError(_("There is no folder {folder!r} on this machine.", folder=folder))
    return path


@router.get("/api/v1/bases/{kb}/jobs")
def list_jobs(kb: str, desk: Desking) -> dict[str, Any]:
    """The last jobs of a knowledge base, latest first, for who may write."""
    view = desk.base(kb, "write")
    return {"jobs": [_shown(view, job) for job in view.jobs()]}


@router.get("/api/v1/jobs/{job}")
def get_job(job: str, desk: Desking) -> dict[str, Any]:
    """A job: its state, how much is done, and in the end its report."""
    view, found = _job(desk, job)
    return {"job": _shown(view, found)}


@router.delete("/api/v1/jobs/{job}")
def stop_job(job: str, desk: Desking) -> dict[str, Any]:
    """Stop a job after the files in work; what is done stays."""
    view, found = _job(desk, job)
    view.stop_job(found.id)
    return {"job": _shown(view, found)}


def _job(desk: Desk, wanted: str) -> tuple[View, Job]:
    """
    Raises:
        NotFoundError: there is none of this id in the knowledge bases that the caller may write.
    """
    for view in map(desk.base, desk.bases()):
        for job in view.jobs() if view.may("write") else ():
            if job.id == wanted:
                return view, job
    raise NotFoundError(_("There is no job {id!r}.", id=wanted))


def _shown(view: View, job: Job) -> dict[str, Any]:
    return {"kb": view.name, **_named(view, asdict(job))}
