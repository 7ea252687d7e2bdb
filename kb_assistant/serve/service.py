"""What the routes share: the door, the threads for long work, the counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request
from langchain_core.language_models import BaseChatModel

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.serve.metrics import Metrics
from kb_assistant.serve.work import WorkPool
from kb_assistant.settings import Settings
from kb_assistant.workspace import bases
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import LOCAL_USER, Principal
from kb_assistant.workspace.view import View
from kb_assistant.workspace.workspace import Workspace

ANSWERS_AT_ONCE = 4
"""A local model answers one at a time; quotes, and models elsewhere, several."""

SEARCHES_AT_ONCE = 4


@dataclass(slots=True)
class Service:
    """One server.

    Attributes:
        opened: Returns the workspace, which is opened when it is first needed.
        login: Whether a token is asked for; else everybody is this machine's user.
        folders: Where folders may be named to be read; None allows any.
        public_url: Where clients reach it; "" takes the address of each request.
        waiting: How many requests of a kind may wait.
        ready: Whether what the first question needs is loaded.
    """

    opened: Callable[[], Workspace]
    login: bool = False
    folders: tuple[Path, ...] | None = ()
    public_url: str = ""
    waiting: int = 32
    ready: bool = False
    answers: WorkPool = field(init=False)
    searches: WorkPool = field(init=False)
    documents: WorkPool = field(init=False)
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.answers = WorkPool("serve-answer", ANSWERS_AT_ONCE, self.waiting)
        self.searches = WorkPool("serve-search", SEARCHES_AT_ONCE, self.waiting)
        self.documents = WorkPool("serve-document", 1, self.waiting)
        self.metrics = Metrics(self._inside, self._bases, lambda: self.workspace.jobs.outcomes)

    @property
    def workspace(self) -> Workspace:
        return self.opened()

    @property
    def settings(self) -> Settings:
        return self.workspace.settings

    def principal(self, token: str) -> Principal | None:
        """Who has this token; None for nobody."""
        return self.workspace.access.principal(token) if self.login else LOCAL_USER

    def model_of(self, views: Sequence[View]) -> BaseChatModel:
        """The chat model that answers for these; without any, that of the server's settings.

        Raises:
            ModelError: it isn't installed.
        """
        return self.workspace.base(views[0].name if views else self.settings.kb).chat_model

    def url(self, request: Request) -> str:
        """Where clients reach it, without a slash at the end."""
        return self.public_url.rstrip("/") or str(request.base_url).rstrip("/")

    def close(self) -> None:
        for pool in (self.answers, self.searches, self.documents):
            pool.close()

    def _inside(self) -> dict[str, int]:
        pools = {"answer": self.answers, "search": self.searches, "document": self.documents}
        return {kind: pool.inside for kind, pool in pools.items()}

    def _bases(self) -> list[KnowledgeBase]:
        return [self.workspace.base(name) for name in bases.list_bases(self.settings)]


def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def desk_of(request: Request) -> Desk:
    """What the caller may see and do."""
    return Desk(_service(request).workspace, cast(Principal, request.state.principal))


Serving = Annotated[Service, Depends(_service)]
Desking = Annotated[Desk, Depends(desk_of)]
