"""The Dockerfile and the compose file: what they name is there; where a builder is at hand, the image is built and
runs.

For that `make test-slow` needs buildah and a local image with Python 3.11 and venv, named by KB_BASE_IMAGE
(`buildah pull python:3.11-slim-bookworm`); KB_BUILD_FLAGS are further flags of `buildah bud`, such as a mount with
pip's configuration.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.namespaces import namespace
from tests.samples import ROOT
from tests.shell import kb

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
BASE = os.environ.get("KB_BASE_IMAGE", "python:3.11-slim-bookworm")


def service() -> dict[str, Any]:
    (only,) = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"].values()
    return dict(only)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {
        name for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_the_compose_file_names_a_stage_and_the_port_that_is_checked(tmp_path: Path) -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert {"slim", "full", service()["build"]["target"]} <= stages
    port = re.search(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)
    assert port
    assert f"127.0.0.1:{port[1]}/healthz" in DOCKERFILE
    assert service()["ports"] == [f"127.0.0.1:{port[1]}:{port[1]}"], "for this machine alone"
    help_text = kb("serve", "--help", home=tmp_path).stdout
    assert port[1] in help_text, "the port that kb serve takes by itself"
    for option in (word for word in service()["command"] if word.startswith("--")):
        assert option in help_text
    assert service()["volumes"][0].endswith(":/data")


def composer() -> list[str]:
    """A program that reads compose files and is at hand; none of these needs a daemon for that."""
    for command in (["docker", "compose"], ["podman-compose"], ["docker-compose"]):
        found = shutil.which(command[0])
        if found and not subprocess.run([*command, "version"], capture_output=True).returncode:
            return command
    return []


@pytest.mark.skipif(not composer(), reason="neither docker compose nor podman-compose is installed")
def test_compose_reads_the_file_as_it_is_meant() -> None:
    read = subprocess.run(
        [*composer(), "-f", str(ROOT / "compose.yaml"), "config"],
        env=os.environ | {"KB_DOCUMENTS": "/srv/documents"},
        capture_output=True,
        text=True,
    )
    assert read.returncode == 0, read.stderr
    (found,) = yaml.safe_load(read.stdout)["services"].values()
    assert found["command"] == service()["command"]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert "/srv/documents" in json.dumps(found["volumes"])
    assert "127.0.0.1" in json.dumps(found["ports"])


def test_every_extra_that_an_image_installs_is_one() -> None:
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = [extra for found in re.findall(r'"\.\[(.+?)\]"', DOCKERFILE) for extra in found.split(",")]
    assert named
    assert set(named) <= set(known)
    assert not {"cpu", "gpu"} <= set(named)


@pytest.fixture
def image() -> Iterator[str]:
    """The slim image, built here."""
    if shutil.which("buildah") is None or not namespace():
        pytest.skip("needs buildah, and a system that allows network namespaces")
    if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True).returncode:
        pytest.skip(f"there is no image {BASE}; KB_BASE_IMAGE names another")
    name = f"localhost/kb-test-{uuid.uuid4().hex[:8]}"
    flags = [
        "--format",
        "docker",
        "--isolation",
        "chroot",
        "--pull-never",
        "--target",
        "slim",
        "--build-arg",
        f"BASE={BASE}",
    ]
    flags += shlex.split(os.environ.get("KB_BUILD_FLAGS", ""))
    built = subprocess.run(["buildah", "bud", *flags, "-t", name, str(ROOT)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-2000:]
    yield name
    subprocess.run(["buildah", "rmi", name], capture_output=True, check=False)


@pytest.mark.slow
def test_the_image_serves_as_a_user_without_rights_and_is_healthy(image: str) -> None:
    told = json.loads(subprocess.check_output(["buildah", "inspect", "--type", "image", image]))["Docker"][
        "config"
    ]
    assert told["User"] == "10001"
    assert list(told["Volumes"]) == ["/data"]
    check = shlex.join(told["Healthcheck"]["Test"][1:])
    script = (
        "id -u && kb --version && kb token add ann > /data/token && stat -c %u /data/token && "
        f"(! {check} 2> /dev/null) && (kb serve --page --host 0.0.0.0 > /data/log 2>&1 &) && "
        f"for i in $(seq 300); do sleep 1; if {check}; then echo healthy; exit; fi; done; cat /data/log"
    )
    container = subprocess.check_output(["buildah", "from", "--pull-never", image], text=True).strip()
    try:
        # Its network is one of its own: nothing else has its port.
        run = [*namespace(), shutil.which("buildah") or "", "run", "--isolation", "chroot"]
        done = subprocess.run([*run, container, "--", "sh", "-c", script], capture_output=True, text=True)
    finally:
        subprocess.run(["buildah", "rm", container], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert (lines[0], lines[-2], lines[-1]) == ("10001", "10001", "healthy"), (done.stdout, done.stderr)
