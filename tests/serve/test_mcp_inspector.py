"""MCP as its makers' own programs see it: the Inspector's command line, and the tests of conformance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.homes import link_models
from tests.samples import ROOT
from tests.serve.running import ModelledWorkspace, Running, running
from tests.waiting import PATIENCE

PROGRAMS = Path(sys.prefix, "mcp", "node_modules", ".bin")
READING = {"search", "fetch", "find", "ask", "list_bases", "list_sources"}

pytestmark = pytest.mark.skipif(
    not (PROGRAMS / "mcp-inspector").exists(), reason="`make test` installs the Inspector where npm has a network"
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> ModelledWorkspace:
    home = tmp_path_factory.mktemp("inspector") / "home"
    made = ModelledWorkspace(
        Settings(home=home, model="extract", refuse_below=0.0, answer_reader="off"), HashEmbeddings()
    )
    made.base("boats").add([("ferry.md", b"# Ferry\n\nThe ferry sails at dawn.")])
    made.base("vault").add(["The vault is shut."])
    made.access.put_user("ann")
    made.access.grant("boats", "user:ann", "read")
    return made


@pytest.fixture(scope="module")
def guarded(workspace: ModelledWorkspace) -> Iterator[Running]:
    with running(workspace, login=True) as found:
        yield found


@pytest.fixture(scope="module")
def server(workspace: ModelledWorkspace) -> Iterator[Running]:
    with running(workspace) as found:
        yield found


def _run(program: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """One of the programs, by the Node that was installed with it."""
    found = os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
    return subprocess.run(
        [PROGRAMS / program, *arguments],
        env=found,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _inspected(*arguments: str, home: Path) -> Any:
    done = _run("mcp-inspector", "--cli", *arguments, home=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_inspector_over_http_with_a_token(
    guarded: Running, workspace: ModelledWorkspace, tmp_path: Path
) -> None:
    token = workspace.access.new_token("ann")
    url = f"{guarded.url}/mcp"
    at = (url, "--transport", "http", "--header", f"Authorization: Bearer {token}", "--method")
    listed = _inspected(*at, "tools/list", "--strict", home=tmp_path)["tools"]
    assert {tool["name"] for tool in listed} == READING
    assert all("outputSchema" in tool and tool["annotations"]["readOnlyHint"] for tool in listed)
    call = (*at, "tools/call", "--tool-name")
    found = _inspected(*call, "search", "--tool-arg", "query=When does the ferry sail?", home=tmp_path)
    assert not found["isError"]
    assert json.loads(found["content"][0]["text"]) == found["structuredContent"]
    (first,) = found["structuredContent"]["results"]
    fetched = _inspected(*call, "fetch", "--tool-arg", f"id={first['id']}", home=tmp_path)
    assert "at dawn" in fetched["structuredContent"]["text"]
    base, passage = first["id"].split(":")
    read = _inspected(*at, "resources/read", "--uri", f"kb://{base}/{passage}", home=tmp_path)
    assert "at dawn" in read["contents"][0]["text"]
    wrong = _run("mcp-inspector", "--cli", *at[:3], "--header", "Authorization: Bearer kb_ab12cd34_x",
                 "--method", "tools/list", home=tmp_path)  # fmt: skip
    assert wrong.returncode != 0
    assert "ferry" not in wrong.stdout + wrong.stderr


@pytest.mark.engine
def test_the_inspector_over_standard_input_and_output(models_home: Path, tmp_path: Path) -> None:
    home = link_models(models_home, tmp_path / "home")
    program = (sys.executable, "-m", "kb_assistant", "mcp", "--home", str(home), "--model", "extract")
    at = ("-e", f"PYTHONPATH={ROOT}", *program, "--method")
    listed = _inspected(*at, "tools/list", "--strict", home=tmp_path)["tools"]
    assert {tool["name"] for tool in listed} == READING
    told = _inspected(*at, "tools/call", "--tool-name", "list_bases", home=tmp_path)
    assert told["structuredContent"] == {"bases": []}


SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-error",
    "server-sse-multiple-streams",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
)
"""The others call tools and prompts that only the reference server has."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_conforms(server: Running, scenario: str, tmp_path: Path) -> None:
    done = _run("conformance", "server", "--url", f"{server.url}/mcp", "--scenario", scenario, home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout, "without sessions, the one for several streams only warns"
