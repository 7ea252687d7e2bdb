"""Workers that Ray starts, one on each node of a cluster, with a real embedder."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.ray_workers import ray_workers
from kb_assistant.settings import Settings
from tests import stores
from tests.postgres_server import PostgresServer
from tests.waiting import until

HAS_RAY = importlib.util.find_spec("ray") is not None
with_ray = pytest.mark.skipif(not HAS_RAY, reason='needs the package ray: pip install -e ".[ray]"')


@pytest.fixture
def server(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    yield postgres_server
    stores.drop_databases()


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes on this machine, whose home is `home`."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("KB_HOME", str(home))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    arguments = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100_000_000}
    made = Cluster(initialize_head=True, head_node_args=arguments)
    made.add_node(num_cpus=1, object_store_memory=100_000_000)
    yield made
    made.shutdown()


@with_ray
@pytest.mark.slow
@pytest.mark.engine
def test_each_node_has_a_worker_and_a_killed_one_comes_again(
    server: PostgresServer,  # noqa: ARG001 - it must run
    cluster: Any,
    home: Path,
    tmp_path: Path,
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(60):
        (docs / f"{number}.md").write_text(f"# Valve {number}\n\nIt belongs to circuit {number * 7}. " * 8)
    with KnowledgeBase(Settings(home=home, store=stores.store_of(home))) as kb:
        kb.ingest(docs, workers=True, stop=lambda: True)
        with ray_workers(cluster.address, kb.settings, print) as workers:
            assert workers.nodes == 2
            until(lambda: sum(not one.lost for one in kb.shared_work.state().workers) == 2)
            victim = psutil.Process(kb.shared_work.state().workers[0].pid)
            os.kill(victim.pid, signal.SIGKILL)
            report = kb.ingest(docs, workers=True)
            assert (report.failed, report.stopped) == (0, False)
            until(lambda: len({one.pid for one in kb.shared_work.state().workers if not one.lost}) >= 2)
        assert len(workers.shares) == 2
        assert len(kb.sources(failed=False)) == 60
        assert kb.verify().faults == ()
        assert "circuit" in kb.search("Which valve belongs to circuit 49?", 1)[0].text


@with_ray
def test_a_cluster_that_isnt_there_is_said_so(tmp_path: Path) -> None:
    with (
        pytest.raises(KBError, match="No Ray cluster"),
        ray_workers("127.0.0.1:1", Settings(home=tmp_path), print),
    ):
        pass


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_it_is_said_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(KBError, match="ray"), ray_workers("auto", Settings(home=tmp_path), print):
        pass
