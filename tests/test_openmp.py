"""OpenMP's threads wait asleep, unless the user has chosen otherwise; other programs aren't told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kb_assistant.openmp import waiting_asleep

NAMES = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY")

LOAD = """
import os, sys
seen = []
def hook(event, arguments):
    if event == "import" and arguments[0] == sys.argv[1]:
        seen.append(os.environ.get("GOMP_SPINCOUNT"))
sys.addaudithook(hook)
from {module} import {name}
{name}()
print(seen[0], os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_the_environment_is_as_before_afterwards() -> None:
    before = dict(os.environ)
    with waiting_asleep():
        with waiting_asleep():
            pass
        assert os.environ["GOMP_SPINCOUNT"] == "0"
    assert dict(os.environ) == before
    with pytest.raises(ImportError), waiting_asleep():
        raise ImportError
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", NAMES)
def test_what_the_user_has_chosen_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "ACTIVE" if name == "OMP_WAIT_POLICY" else "5000")
    before = dict(os.environ)
    with waiting_asleep():
        assert dict(os.environ) == before


@pytest.mark.engine
@pytest.mark.parametrize(
    ("library", "module", "name"),
    [
        ("faiss", "kb_assistant.index.flat", "import_faiss"),
        ("torch", "kb_assistant.torch_runtime", "import_torch"),
        ("xllamacpp", "kb_assistant.llm.llama_server", "_engine"),
    ],
)
def test_each_library_is_loaded_so(library: str, module: str, name: str) -> None:
    program = LOAD.format(module=module, name=name)
    told = subprocess.check_output([sys.executable, "-c", program, library], text=True, env=dict(os.environ))
    assert told.split() == ["0", "None"]
