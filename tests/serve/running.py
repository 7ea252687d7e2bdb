"""The server, run by uvicorn in a thread of the test's own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from langchain_core.language_models import BaseChatModel

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.serve.connections import PatientProtocol
from kb_assistant.serve.server import Api, ServeOptions
from kb_assistant.serve.service import Service
from kb_assistant.settings import Settings
from kb_assistant.workspace.workspace import Workspace
from tests.waiting import until


class ModelledWorkspace(Workspace):
    """A workspace whose knowledge bases have these models."""

    def __init__(self, settings: Settings, embedder: Any, chat_model: BaseChatModel | None = None) -> None:
        super().__init__(settings)
        self._embedder, self._model = embedder, chat_model

    def base(self, name: str) -> KnowledgeBase:
        with self._lock:
            known = self._open.get(name)
            if known is None:
                known = KnowledgeBase(self.named(name), embedder=self._embedder, chat_model=self._model)
                self._open[name] = known
            return known


@dataclass
class Running:
    """A server that runs."""

    url: str
    service: Service


@contextmanager
def running(
    workspace: Workspace,
    *,
    login: bool = False,
    folders: tuple[Path, ...] | None = None,
    waiting: int = 32,
    **options: Any,
) -> Iterator[Running]:
    """A server on a free port.

    Args:
        login: Asks for tokens.
    """
    service = Service(lambda: workspace, login, folders, waiting=waiting)
    api = Api(service, ServeOptions(**options))
    config = uvicorn.Config(
        api,
        port=0,
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{port}", service)
    finally:
        server.should_exit = True
        thread.join()
