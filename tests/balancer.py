"""nginx before two servers, round robin, as docs/deploy.md has it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import PATIENCE, until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")

_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/pid;
events {{}}
http {{
    log_format told '$request_method $uri $status $upstream_addr';
    access_log {folder}/access told;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    upstream kb {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 200m;
        location / {{
            proxy_pass http://kb;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_read_timeout 3600s;
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""


@dataclass
class Balancer:
    """A running balancer."""

    url: str
    log: Path

    def reached(self, method: str, beginning: str) -> set[str]:
        """The servers that answered requests of this method and beginning of the path."""
        lines = (line.split() for line in self.log.read_text().splitlines())
        return {line[3] for line in lines if line[0] == method and line[1].startswith(beginning)}


@contextmanager
def balancing(folder: Path, port: int, servers: Sequence[int]) -> Iterator[Balancer]:
    """One on this port before the servers on those."""
    folder.mkdir()
    said = " ".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=5s;" for one in servers)
    (folder / "conf").write_text(_CONFIG.format(folder=folder, port=port, servers=said))
    command = [NGINX or "", "-p", str(folder), "-e", str(folder / "errors"), "-c", str(folder / "conf")]
    with (folder / "said").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until(lambda: (folder / "pid").exists() or process.poll() is not None)
            assert process.poll() is None, (folder / "errors").read_text()
            yield Balancer(f"http://127.0.0.1:{port}", folder / "access")
        finally:
            process.terminate()
            process.wait(PATIENCE)
