"""What this program uses of the machine."""

from __future__ import annotations


def memory() -> tuple[int, int]:
    """Bytes of memory that this process with its children holds, and that are free for programs."""
    import psutil

    me = psutil.Process()
    held = 0
    for process in (me, *me.children(recursive=True)):
        try:
            held += process.memory_info().rss
        except psutil.Error:  # ended meanwhile
            continue
    return held, int(psutil.virtual_memory().available)
