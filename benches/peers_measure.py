"""How peers.py measures: short bursts of each side in turn, so that both meet the same machine."""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BURST = 0.06
"""Seconds of one burst; one run if that is longer."""
PAUSE = 0.01
"""Seconds between bursts, so that spinning threads of one side are asleep when the other runs."""
MIN_ROUNDS = 5

Clock = Callable[[], float]


@dataclass(frozen=True)
class Pair:
    """Milliseconds per run of both sides: medians over the rounds; the ratio is the median of the rounds' ratios."""

    ours: float
    theirs: float
    ratio: float
    rounds: int


def clock_for(threads: int) -> Clock:
    """One thread is measured by the processor time it took, several by the time that passed."""
    return time.process_time if threads == 1 else time.perf_counter


def burst(run: Callable[[], object], runs: int, clock: Clock) -> float:
    """Milliseconds per run."""
    start = clock()
    for _ in range(runs):
        run()
    return (clock() - start) * 1000 / runs


def runs_per_burst(run: Callable[[], object], seconds: float = BURST) -> int:
    """How many runs fill a burst, after a first warm one."""
    run()
    return max(1, round(seconds * 1000 / max(1e-3, burst(run, 1, time.perf_counter))))


def alternate(ours: Callable[[], object], theirs: Callable[[], object], threads: int, seconds: float) -> Pair:
    """Measures both in alternating bursts for about that long; who goes first changes every round."""
    clock = clock_for(threads)
    sides = [(ours, runs_per_burst(ours)), (theirs, runs_per_burst(theirs))]
    rounds: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < MIN_ROUNDS or time.perf_counter() < end:
        taken = [0.0, 0.0]
        for side in (0, 1) if len(rounds) % 2 else (1, 0):
            time.sleep(PAUSE)
            taken[side] = burst(*sides[side], clock)
        rounds.append((taken[0], taken[1]))
    first, second = zip(*rounds, strict=True)
    ratio = statistics.median(a / b for a, b in rounds)
    return Pair(statistics.median(first), statistics.median(second), ratio, len(rounds))


def turns(sides: dict[str, Callable[[], object]], threads: int, seconds: float, per_burst: float = BURST) -> dict[str, list[float]]:
    """Milliseconds per run of each, round by round, who goes first changing every round."""
    clock = clock_for(threads)
    counts = {name: runs_per_burst(side, per_burst) for name, side in sides.items()}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    order, end = list(sides), time.perf_counter() + seconds
    while len(taken[order[0]]) < MIN_ROUNDS or time.perf_counter() < end:
        order.append(order.pop(0))
        for name in order:
            time.sleep(PAUSE)
            taken[name].append(burst(sides[name], counts[name], clock))
    return taken


def scaling(one: Callable[[], object], two: Callable[[], object], seconds: float) -> float:
    """How many times faster two threads are than one: passing time, alternating bursts, median."""
    sides = [(one, runs_per_burst(one)), (two, runs_per_burst(two))]
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    while len(ratios) < MIN_ROUNDS or time.perf_counter() < end:
        taken = [burst(run, runs, time.perf_counter) for run, runs in sides]
        ratios.append(taken[0] / taken[1])
        time.sleep(PAUSE)
    return statistics.median(ratios)


class Peak:
    """The rate of fused multiply-adds, measured by a small C library."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="weft-peak-")
        library = Path(self._folder.name) / "peak.so"
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-pthread", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", library, HERE / "peers_peak.c"], check=True)
        loaded = ctypes.CDLL(str(library))
        self._rate, self._byte_rate = loaded.peak_rate, loaded.peak_byte_rate
        for rate in (self._rate, self._byte_rate):
            rate.argtypes, rate.restype = [ctypes.c_int, ctypes.c_double], ctypes.c_double

    def rate(self, threads: int, seconds: float = 0.1) -> float:
        """GFLOP/s over all threads; one thread is timed by the processor time it took."""
        return self._rate(threads, seconds)

    def byte_rate(self, threads: int, seconds: float = 0.1) -> float:
        """The same for sums of four products of bytes: GOP/s; that of numbers where there is no such instruction."""
        return self._byte_rate(threads, seconds)

    def rates(self, rounds: int = 7) -> tuple[float, float]:
        """The best one-thread rate, and how many times that two threads reach (median of alternating bursts)."""
        pairs = [(self.rate(1), self.rate(2)) for _ in range(rounds)]
        return max(one for one, _ in pairs), statistics.median(two / one for one, two in pairs)


def process_times(command: list[str | Path], times: int = 21) -> list[float]:
    """Milliseconds of whole processes, from start to end, in order of length."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)
