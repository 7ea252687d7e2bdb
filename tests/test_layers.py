"""The layer list of the house: what may import what. An arrow up, a circle or a room that isn't listed fails."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.samples import ROOT

LAYERS = (
    "messages",
    "types errors once deprecation",
    "lock telemetry openmp priority processor",
    "packed_weights small_file text torch_runtime",
    "model_folder",
    "chatglm2 settings store embedding",
    "models index reader base_settings",
    "llm retrieval",
    "answering maintenance adapters ingestion open_models",
    "shared_work",
    "knowledge",
    "workspace evaluate ray_workers",
    "training serve",
    "cli",
)
"""Rooms of kb_assistant, the ground first. A room imports from floors below its own, not from beside it."""


def modules(package: str) -> dict[str, Path]:
    """Dotted names of all modules of a package, with their files."""
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(file: Path, known: dict[str, Path]) -> set[str]:
    """Modules that a file names in any import, also inside functions and for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in known else node.module for name in inside}
    return names


@cache
def arrows() -> dict[str, set[str]]:
    """Who imports whom, among the modules of this project."""
    known = {name: file for package in ("kb_assistant", "ingest", "ui") for name, file in modules(package).items()}
    return {name: {one for one in imported(file, known) if one in known} - {name} for name, file in known.items()}


def room(module: str) -> str:
    """`retrieval` of kb_assistant.retrieval.fusion; the package's own door is the highest of all."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "door"


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(LAYERS) if name in rooms.split())


OWN = sorted(name for name in modules("kb_assistant") if room(name) not in ("door", "__main__"))


@pytest.mark.parametrize("module", OWN)
def test_imports_lead_down(module: str) -> None:
    here = room(module)
    for other in arrows()[module]:
        if other.startswith("kb_assistant.") and room(other) != here:
            assert floor(room(other)) < floor(here), f"{module} imports {other}"


@pytest.mark.parametrize("module", OWN)
def test_nothing_below_knows_what_stands_on_it(module: str) -> None:
    above = {other for other in arrows()[module] if other.split(".")[0] in ("ingest", "ui", "serve")}
    assert not above


def test_ingest_stands_on_the_ground() -> None:
    for module, others in arrows().items():
        if module.startswith("ingest"):
            assert not {other for other in others if other.startswith("ui")}, module
            rooms = {room(other) for other in others if other.startswith("kb_assistant.")}
            ground = {
                "store",
                "embedding",
                "text",
                "types",
                "errors",
                "messages",
                "settings",
                "lock",
                "telemetry",
                "small_file",
            }
            assert rooms <= ground, (module, rooms)


def test_the_page_knows_the_public_door_and_the_workspace_alone() -> None:
    for module, others in arrows().items():
        if module.startswith("ui"):
            rooms = {room(other) for other in others if other.startswith("kb_assistant")}
            known = {"door", "workspace", "settings", "base_settings", "messages", "errors"}
            assert rooms <= known | ({"cli"} if module == "ui.cli" else set()), (module, rooms)


@pytest.mark.parametrize("package", ["kb_assistant", "ingest", "ui"])
def test_no_circles(package: str) -> None:
    inside = {
        name: {other for other in others if other.startswith(f"{package}.")}
        for name, others in arrows().items()
        if name.startswith(f"{package}.")
    }
    TopologicalSorter(inside).prepare()  # raises CycleError, which names the circle
