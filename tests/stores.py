"""Tests over either store: the file in the home, or a database for each home on a server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore
from kb_assistant.store.home import HomeStore
from kb_assistant.store.opening import open_home, open_store

SERVER = "KB_TEST_SERVER"
"""The variable with the address of the server, also for processes that a test starts; unset, stores are files."""

PREFIX = "kbtest"


def store_of(home: Path) -> str:
    """The setting `store` for a home."""
    server = os.environ.get(SERVER)
    if not server:
        return "sqlite"
    import psycopg
    from psycopg import sql

    name = PREFIX + hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
    with psycopg.connect(server, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def settings_of(home: Path) -> Settings:
    """Of a home that quotes, with one reader process and little patience."""
    return Settings(home=home, readers=1, lock_seconds=0.2, model="extract", store=store_of(home))


def opened(folder: Path, create: bool = False) -> KnowledgeStore:
    """The store of a knowledge base in this folder."""
    return open_store(store_of(folder), folder, "kb", create)


def home_of(folder: Path) -> HomeStore:
    """What the home in this folder keeps besides its knowledge bases."""
    return open_home(store_of(folder), folder)


def drop_databases() -> None:
    """Remove what `store_of` made on the server."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(os.environ[SERVER], autocommit=True) as connection:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        for (name,) in connection.execute(query, (PREFIX,)).fetchall():
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
