"""Options shared by several commands, and the knowledge base they select."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.workspace.listening import Listening

Kb = Annotated[str | None, typer.Option("--kb", help="Name of the knowledge base [default].", metavar="NAME")]
Home = Annotated[
    Path | None, typer.Option("--home", help="Folder of knowledge bases and models [KB_HOME].", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Embedder = Annotated[
    str | None,
    typer.Option(
        "--embedder", help="Embedding model: an installed name, a folder, or openai:MODEL@URL.", metavar="MODEL"
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="auto, extract, an installed name, a .gguf file or provider:model.", metavar="MODEL"
    ),
]
Adapter = Annotated[
    str | None,
    typer.Option(
        "--adapter", help="What was trained on the model: a name of `kb train list`, or a folder.", metavar="NAME"
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help='Only in sources with this, such as type=pdf or "path=manual/*"; repeatable.',
        metavar="CONDITION",
    ),
]
Answers = Annotated[
    str | None,
    typer.Option(
        "--answers",
        help="documents, documents-first or model: whether the model may answer by itself.",
        metavar="FROM",
    ),
]
Host = Annotated[str, typer.Option(help="Address to listen on. Any but this machine's own asks for a token.")]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]
Login = Annotated[bool, typer.Option("--login", help="Ask for a token on this machine, too.")]
Folders = Annotated[
    list[Path] | None,
    typer.Option(
        "--folder",
        help="Only folders under it may be named to be read, with tokens; repeatable.",
        metavar="DIR",
    ),
]
Certificate = Annotated[Path | None, typer.Option("--cert", help="TLS certificate.", metavar="FILE")]
Key = Annotated[Path | None, typer.Option("--key", help="Its key.", metavar="FILE")]
K = Annotated[int | None, typer.Option("-k", help="How many passages.", min=1)]


def listening(
    host: str, port: int, login: bool, folders: list[Path] | None, certificate: Path | None, key: Path | None
) -> Listening:
    """Where a server listens, by its options."""
    from kb_assistant.workspace.listening import Listening

    below = tuple(folder.resolve() for folder in folders or ())
    return Listening(host, port, login, below, certificate, key)


def open_kb(kb: str | None, home: Path | None, **settings: Any) -> KnowledgeBase:
    """The knowledge base that the options name."""
    from kb_assistant.knowledge import KnowledgeBase

    return KnowledgeBase.open(kb, home=home, **settings)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Within it, the first Ctrl-C calls `stop`; the second breaks off at once."""

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
