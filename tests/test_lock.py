"""One writer at a time: threads queue in turn, processes take turns, a fork holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kb_assistant.errors import BusyError, StoreError
from kb_assistant.lock import writing
from tests.processes import another_writer, in_a_fork
from tests.samples import ROOT
from tests.waiting import PATIENCE


def test_threads_get_it_in_the_order_in_which_they_asked(tmp_path: Path) -> None:
    order: list[int] = []
    asked = [threading.Event() for _ in range(8)]

    def write(number: int) -> None:
        asked[number].set()
        with writing(tmp_path, 60):
            order.append(number)

    with ThreadPoolExecutor(8) as pool:
        with writing(tmp_path, 60):
            for number in range(8):
                pool.submit(write, number)
                assert asked[number].wait(PATIENCE)
                time.sleep(0.05)  # from "asks now" to "has asked"
        pool.shutdown()
    assert order == list(range(8))


def test_many_short_writers_never_exhaust_a_patience_that_one_of_them_does_not(tmp_path: Path) -> None:
    """Twenty threads wait for 1 s in all, each with a patience of 0.4 s."""

    def write(_: int) -> int:
        with writing(tmp_path, 0.4):
            time.sleep(0.05)
        return 1

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(write, range(20))) == 20


def test_a_thread_that_waits_too_long_for_another_says_so_without_naming_its_own_process(tmp_path: Path) -> None:
    with writing(tmp_path, 0), ThreadPoolExecutor(1) as pool:
        for patience in (0, 0.1):
            with pytest.raises(BusyError) as caught:
                pool.submit(lambda p=patience: writing(tmp_path, p).__enter__()).result()
            assert "This process is writing to this knowledge base already" in caught.value.message
            assert str(os.getpid()) not in caught.value.message
    with writing(tmp_path, 0):
        pass


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt; a process started in a shell's background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_waiting_leaves_the_lock_to_others(tmp_path: Path) -> None:
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with writing(tmp_path, 0):
            held.set()
            assert end.wait(PATIENCE)

    def take() -> None:
        with writing(tmp_path, 1):
            pass

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(hold)
        assert held.wait(PATIENCE)
        threading.Timer(0.2, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt), writing(tmp_path, PATIENCE):
            pass
        behind = pool.submit(take)
        time.sleep(0.1)  # it waits now, too
        end.set()
        holder.result()
        behind.result()


def test_the_thread_that_holds_it_may_take_it_again_by_any_path(tmp_path: Path) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    with writing(folder, 0):
        with writing(link, 0):
            pass
        with ThreadPoolExecutor(1) as pool, pytest.raises(BusyError):
            pool.submit(lambda: writing(folder, 0).__enter__()).result()


def test_locks_of_other_names_are_other_locks(tmp_path: Path) -> None:
    with writing(tmp_path, 0), ThreadPoolExecutor(1) as pool:

        def other() -> bool:
            with writing(tmp_path, 0, name="other"):
                return True

        assert pool.submit(other).result()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no folder"), writing(tmp_path / "gone", 0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_message_names_the_other_process(tmp_path: Path) -> None:
    with another_writer(tmp_path) as pid, pytest.raises(BusyError, match=f"process {pid}"), writing(tmp_path, 0):
        pass


WRITER = """
import sys, time
from pathlib import Path
from kb_assistant.lock import writing
for number in range(int(sys.argv[2])):
    with writing(Path(sys.argv[1]), 20):
        time.sleep(0.02)
    print(number, flush=True)
"""


def test_a_busy_process_lets_another_have_its_turn(tmp_path: Path) -> None:
    """Two threads here write without a pause; another process writes five times in between."""
    done = threading.Event()

    def write() -> int:
        count = 0
        while not done.is_set():
            with writing(tmp_path, 20):
                time.sleep(0.02)
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        counts = [pool.submit(write) for _ in range(2)]
        try:
            ran = subprocess.run(
                [sys.executable, "-c", WRITER, str(tmp_path), "5"],
                cwd=ROOT,
                text=True,
                capture_output=True,
                timeout=PATIENCE,
            )
        finally:
            done.set()
    assert (ran.returncode, ran.stdout.split()) == (0, ["0", "1", "2", "3", "4"]), ran.stderr
    assert all(count.result() > 1 for count in counts)


def test_a_forked_child_neither_holds_nor_frees_what_its_parent_holds(tmp_path: Path) -> None:
    def child() -> str:
        try:
            with writing(tmp_path, 0.1):
                return "entered"
        except BusyError as error:
            return error.message

    with writing(tmp_path, 0):
        assert f"process {os.getpid()}" in in_a_fork(child)
        with ThreadPoolExecutor(1) as pool, pytest.raises(BusyError):
            pool.submit(lambda: writing(tmp_path, 0).__enter__()).result()
    assert in_a_fork(child) == "entered"


def test_a_child_forked_while_another_thread_writes_can_write_later(tmp_path: Path) -> None:
    inside, end = threading.Event(), threading.Event()

    def hold() -> None:
        with writing(tmp_path, 0):
            inside.set()
            end.wait(PATIENCE)

    def child() -> str:
        with writing(tmp_path, 60):
            return "entered"

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(PATIENCE)
    timer = threading.Timer(0.3, end.set)
    timer.start()
    assert in_a_fork(child) == "entered"
    thread.join()
