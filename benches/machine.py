"""What this machine is, and what it can do at most: the limits to hold figures against.

    python benches/machine.py --out run.jsonl

One thread. Reading in order: OpenBLAS' dot product of an array with itself, of a size that a level
of cache holds and of one that none does. Random lines, of that size too: 64 bytes at addresses that
are known beforehand, of which the processor fetches several at once ("independent"), and each at an
address that the last one holds ("one after the other"), which is the memory's latency; both are
compiled by numba, which pynndescent brings along, and not measured where it is absent; the table
lies in pages of the size that the system gives. Arithmetic: numpy's product of float32 matrices.
Time is the process's CPU time; the median of some rounds is quoted.
"""

from __future__ import annotations

import os

# One thread, whatever numpy is built with; read when it is imported.
for _pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")

import argparse  # noqa: E402
import platform  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from lines import Lines, now  # noqa: E402

#: Of the processor's flags, those that kernels of this kind are written for.
SETS = ("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp")
LINE = 64


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return ""


def processor() -> str:
    """The model that this runs on."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def caches() -> dict[str, str]:
    """Sizes by level, as the system tells them."""
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (folder / part).read_text().strip() for part in ("level", "type", "size")
        )
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found


def memory() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usable_cores() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def last_cache() -> int:
    """Bytes of the largest cache; 32 MiB where the system does not tell."""
    sizes = [int(size[:-1]) * 1024 for size in caches().values() if size.endswith("K")]
    return max(sizes, default=32 << 20)


def _seconds(job: Callable[[], object]) -> float:
    """Of CPU, so that little is lost to other work on the machine."""
    start = time.process_time()
    job()
    return max(time.process_time() - start, 1e-9)


def reading(size: int, rounds: int) -> list[float]:
    """GB/s of reading `size` bytes in order, again and again."""
    values = np.ones(size // 4, np.float32)
    times = max(1, (64 << 20) // size)
    values @ values

    def repeat() -> None:
        for _ in range(times):
            values @ values

    return [values.nbytes * times / _seconds(repeat) / 1e9 for _ in range(rounds)]


def product(rounds: int, n: int = 2048) -> list[float]:
    """GFLOP/s of a product of square matrices, float32."""
    a = np.random.default_rng(0).random((n, n), np.float32)
    a @ a
    return [2 * n**3 / _seconds(lambda: a @ a) / 1e9 for _ in range(rounds)]


def random_lines(size: int, rounds: int, visits: int) -> dict[str, list[float]]:
    """Nanoseconds a line of 64 bytes, in a table of `size` bytes; ImportError without numba."""
    import numba

    @numba.njit
    def chase(table, visits):
        at = np.int64(0)
        for _ in range(visits):
            at = table[at * 8]
        return at

    @numba.njit
    def gather(table, places):
        total = np.int64(0)
        for place in places:
            total += table[place * 8]
        return total

    random = np.random.default_rng(0)
    order = random.permutation(size // LINE)
    table = np.zeros(len(order) * 8, np.int64)
    table[order * 8] = np.roll(order, -1)
    places = random.integers(len(order), size=visits)
    found: dict[str, list[float]] = {"one after the other": [], "independent": []}
    jobs = {"one after the other": lambda: chase(table, visits)}
    jobs["independent"] = lambda: gather(table, places)
    for name, job in jobs.items():
        job()
        found[name] = [_seconds(job) / visits * 1e9 for _ in range(rounds)]
    return found


def limits(quick: bool, lines: Lines) -> dict[str, dict]:
    """Each limit: its unit and the rounds. What is read at random is four times the last cache, so
    that little of it is found there."""
    size, cached = min(max(4 * last_cache(), 512 << 20), memory() // 8), 512 << 10
    rounds, visits, n = 5, 5_000_000, 2048
    if quick:
        size, rounds, visits, n = 8 << 20, 2, 10_000, 128
    found = {
        f"reading in order, {told(cached)}": ("GB/s", reading(cached, rounds)),
        f"reading in order, {told(size)}": ("GB/s", reading(size, rounds)),
        f"product of float32 matrices, {n} x {n}": ("GFLOP/s", product(rounds, n)),
    }
    try:
        for name, times in random_lines(size, rounds, visits).items():
            found[f"random 64-byte lines, {name}, {told(size)}"] = ("ns a line", times)
    except ImportError:
        lines.absent("machine", "random lines", "numba is not installed")
    return {name: {"unit": unit, "rounds": rounds} for name, (unit, rounds) in found.items()}


def told(size: int) -> str:
    """Bytes for people."""
    return f"{size >> 20:,} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def measure(lines: Lines, quick: bool = False) -> None:
    """Adds the line."""
    flags = _cpuinfo("flags").split() or _cpuinfo("Features").split()
    lines.add(
        "machine",
        date=now(),
        quick=quick,
        processor=processor(),
        cores=usable_cores(),
        memory_bytes=memory(),
        caches=caches(),
        flags=[flag for flag in SETS if flag in flags],
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        numpy=np.__version__,
        limits=limits(quick, lines),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file of JSON lines to add to")
    parser.add_argument("--quick", action="store_true", help="a small table: not a measurement")
    options = parser.parse_args()
    lines = Lines(options.out)
    measure(lines, options.quick)
    for name, limit in lines.kept[-1]["limits"].items():
        print(f"{name}: {np.median(limit['rounds']):,.1f} {limit['unit']}")


if __name__ == "__main__":
    main()
