"""Starts workers by Ray, one on each node of a cluster. Ray only launches them: files, leases and results lie in
the knowledge base's table of work, so a node or a driver that dies loses nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store.work import Share

LOCAL = "local"
"""The address of a cluster of this machine alone, started for the purpose."""

_SHARED = ("store", "embedder", "chunk_tokens", "overlap", "query_prefix", "passage_prefix")
"""Settings that decide what a passage and its vector are: all nodes take them from here."""

_LEAVING_S = 120.0
_CONNECT_S = 10.0


@dataclass(slots=True)
class RayWorkers:
    """Workers on the nodes of a cluster.

    Attributes:
        nodes: How many there are, one worker on each.
        shares: What each worker did, once all have ended; without those that couldn't tell.
    """

    nodes: int
    shares: list[Share] = field(default_factory=list)


class NodeWorker:
    """The actor on a node. It loads the embedder of that node's home.

    Args:
        settings: What all nodes share.
    """

    def __init__(self, kb: str, settings: dict[str, Any]) -> None:
        self._kb, self._settings, self._stopped = kb, settings, False

    def work(self) -> dict[str, Any]:
        """Be a worker until stopped. Returns what it did."""
        with KnowledgeBase.open(self._kb, **self._settings) as base:
            return base.shared_work.work("stopped", stop=lambda: self._stopped).to_json()

    def stop(self) -> None:
        """End after the files in work."""
        self._stopped = True


@contextmanager
def ray_workers(address: str, settings: Settings, say: Callable[[str], None]) -> Iterator[RayWorkers]:
    """Within it, a worker runs on each node of a Ray cluster; a killed one is started again. At the end all end.

    Args:
        address: As for `ray.init`: HOST:PORT, "auto", or LOCAL.
        settings: Of the knowledge base. Each node has its own home (KB_HOME) with the embedder; LOCAL has
            this one.
        say: Called with what the user should know.

    Raises:
        KBError: Ray isn't installed, or there is no cluster at the address.
    """
    ray = _connected(address)
    shared = {name: getattr(settings, name) for name in _SHARED}
    if address == LOCAL:
        shared["home"] = str(Path(settings.home).absolute())
    try:
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        actors = [_started(ray, node, settings.kb, shared) for node in nodes]
        runs = [actor.work.remote() for actor in actors]
        say(_("Workers run on {count} nodes.", count=len(nodes)))
        made = RayWorkers(len(nodes))
        try:
            yield made
        finally:
            for actor in actors:
                actor.stop.remote()
            made.shares += _ended(ray, runs)
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its maker
    try:
        import ray
    except ImportError as error:
        raise KBError(_("Package ray is missing."), _('pip install "kb-assistant[ray]"')) from error
    # The dashboard listens on a port, and isn't needed.
    local: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        host, colon, port = address.rpartition(":")
        if colon:  # Ray itself tries for more than a minute
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **local
        )
    except Exception as error:  # Ray's own have no common class
        raise KBError(
            _("No Ray cluster answers at {address}: {reason}", address=address, reason=str(error)),
            _("Start it with `ray start`, of the same version and Python as here."),
        ) from error
    return ray


def _started(ray: Any, node: str, kb: str, settings: dict[str, Any]) -> Any:
    """An actor on this node, and no other. It counts no processor: whoever runs the cluster gave it the node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(NodeWorker).options(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=2,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False),
    )
    return actor.remote(kb, settings)


def _ended(ray: Any, runs: list[Any]) -> list[Share]:
    """What the workers did, of those that end in time. What others have is free once their lease has run out."""
    shares, deadline = list[Share](), time.monotonic() + _LEAVING_S
    for run in runs:
        with suppress(Exception):  # its node may be gone
            shares.append(Share(**ray.get(run, timeout=max(1.0, deadline - time.monotonic()))))
    return shares
