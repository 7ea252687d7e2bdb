"""Broken files on purpose: bytes of real documents changed, cut, doubled; archives with members changed inside.

Each goes to its reader in a subprocess with the limits of `kb ingest`. Counted are clear errors, bugs of a reader
(it failed in a way of its own), crashes, and files that took longer than allowed. The parent must live through all
of it. The same seed gives the same bytes of the same document.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from ingest.archives import is_archive
from ingest.readers.detect import FORMATS
from ingest.sandbox.pool import Item, ReaderPool

_TOKENS = (
    b"\0",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"<",
    b">",
    b"&x;",
    b"{",
    b"}",
    b"%PDF-",
    b"endobj",
    b"PK\x03\x04",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few changes at random places; of an archive, half of the time, inside one of its members."""
    if data.startswith(b"PK") and chance.random() < 0.5:
        inside = _inside(data, chance)
        if inside is not None:
            return inside
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place = chance.randrange(len(changed) + 1)
        way = chance.randrange(6)
        if way == 0 and changed:
            changed[place % len(changed)] ^= 1 << chance.randrange(8)
        elif way == 1:
            changed[place:place] = chance.choice(_TOKENS)
        elif way == 2:
            del changed[place : place + chance.choice((1, 8, 512))]
        elif way == 3:
            del changed[place:]
        elif way == 4:
            part = changed[place : place + 256]
            changed[place:place] = part * chance.choice((1, 50))
        else:
            changed[place : place + 8] = chance.randbytes(8)
    return bytes(changed)


def _inside(data: bytes, chance: random.Random) -> bytes | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old:
            members = [(name, old.read(name)) for name in old.namelist()]
    except Exception:  # damaged already: zipfile raises errors of many kinds
        return None
    if not members or sum(len(body) for _, body in members) > 20_000_000:
        return None
    chosen = chance.randrange(len(members))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for index, (name, body) in enumerate(members):
            new.writestr(name, mutated(body, chance) if index == chosen and not body.startswith(b"PK") else body)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="real documents")
    parser.add_argument("--seconds", type=float, default=600, help="for each reader")
    parser.add_argument("--reader", default="", help="only this one, such as pdf.document, or archive")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=20, help="seconds that one file may take")
    parser.add_argument("--keep", type=Path, help="folder for files that showed a bug")
    parser.add_argument("--most-bytes", type=int, default=500_000, help="no real document larger than this")
    options = parser.parse_args()
    sources: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(options.folder.iterdir()):
        reader = "archive" if is_archive(path.name) else FORMATS.get(path.suffix.lower())
        if (
            reader
            and (not options.reader or reader == options.reader)
            and path.stat().st_size <= options.most_bytes
        ):
            sources[reader].append(path)
    print(f"{'reader':10} {'files':>7} {'read':>7} {'errors':>7} {'bugs':>5} {'crashes':>7} {'slow':>5}")
    bad = 0
    with tempfile.TemporaryDirectory() as scratch, ReaderPool(1, options.limit, 2048, 100) as pool:
        for reader, paths in sorted(sources.items()):
            counts = fuzz(pool, paths, Path(scratch), options)
            bad += counts["bug"] + counts["crash"] + counts["slow"]
            shown = [counts[name] for name in ("read", "error", "bug", "crash", "slow")]
            print(
                f"{reader:10} {sum(shown):7} {shown[0]:7} {shown[1]:7} {shown[2]:5} {shown[3]:7} {shown[4]:5}",
                flush=True,
            )
    sys.exit(int(bad > 0))


def fuzz(pool: ReaderPool, paths: list[Path], scratch: Path, options: argparse.Namespace) -> Counter[str]:
    """Mutate and read for as long as there is time."""
    counts: Counter[str] = Counter()
    end = time.monotonic() + options.seconds
    number = 0
    while time.monotonic() < end:
        seed = f"{options.seed}:{number}"
        chance = random.Random(seed)
        path = chance.choice(paths)
        file = scratch / f"fuzz{path.suffix}"
        file.write_bytes(mutated(path.read_bytes(), chance))
        error = archive_error(pool, file) if is_archive(file.name) else read_error(pool, file)
        kind = judged(error)
        counts[kind] += 1
        if kind not in ("read", "error"):
            print(f"  {kind}: seed {seed} of {path.name}: {error}", file=sys.stderr, flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{seed.replace(':', '-')}-{path.name}").write_bytes(file.read_bytes())
        file.unlink()
        number += 1
    return counts


def read_error(pool: ReaderPool, file: Path) -> str:
    (outcome,) = pool.read([Item(str(file), str(file))])
    return outcome.error


def archive_error(pool: ReaderPool, file: Path) -> str:
    """The worst error of an archive and of all its members."""
    (listing,) = pool.list_archives([str(file)])
    members = [
        Item(f"{file}/{number}", str(file), member.places)
        for number, member in enumerate(listing.contents.members)
        if not member.problem
    ]
    errors = [listing.error, *(outcome.error for outcome in pool.read(members))]
    order = ("read", "error", "slow", "crash", "bug")
    return max(errors, key=lambda error: order.index(judged(error)))


def judged(error: str) -> str:
    if not error:
        return "read"
    if "The reader failed" in error:
        return "bug"
    if "crashed" in error:
        return "crash"
    return "slow" if "took longer" in error else "error"


if __name__ == "__main__":
    main()
