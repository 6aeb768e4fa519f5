"""Measure things side by side and say ratios.

A time in seconds says as much about the machine and its neighbours as about the code. So the cases of a
benchmark run in turn, round by round, in one session: what slows one slows its neighbours, and their ratio to
the baseline stays. Wall time, and the CPU time of every process involved, are both kept; on a busy machine
the second is the one to trust.
"""

import os
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Facts = Mapping[str, float]
"""Numbers a case tells besides its times: bytes, modules, points."""


_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Case:
    """One way to do the work.

    Attributes:
        name: What the table calls it.
        run: Does the work once; may give facts about it.
        server_pid: A process that works for it and outlives a run; its CPU time, and that of its
            descendants, is counted as well. 0 for none.
    """

    name: str
    run: Callable[[], Facts | None]
    server_pid: int = 0


@dataclass(frozen=True)
class Benchmark:
    """Cases that do the same work; the first is the baseline of every ratio."""

    title: str
    cases: Sequence[Case]


@dataclass(frozen=True)
class Measured:
    """All rounds of one case, in seconds."""

    name: str
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)


def measure(benchmark: Benchmark, *, rounds: int) -> list[Measured]:
    """Run every case `rounds` times in turn, after one run of each that does not count.

    The order is reversed every other round, so that no case always follows the same neighbour.
    """
    results = {case.name: Measured(case.name) for case in benchmark.cases}
    for case in benchmark.cases:
        case.run()
    for number in range(rounds):
        for case in benchmark.cases if number % 2 == 0 else reversed(benchmark.cases):
            _run_once(case, results[case.name])
    return list(results.values())


def table(title: str, results: Sequence[Measured]) -> str:
    """Write the results as a Markdown table; ratios are of medians, to the first row."""
    names = sorted({name for it in results for name in it.facts})
    head = ["case", "wall median (min)", "× wall", "CPU median (min)", "× CPU", *names]
    rows = [_row(it, results[0], names) for it in results]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


def tree_cpu_s(pid: int) -> float:
    """Give the CPU time so far of a process, its descendants, and those of its children it has waited for.

    Reads `/proc`; 0 where there is none or the process is gone.
    """
    return sum(_process_cpu_s(it) for it in [pid, *_descendants(pid)])


def _run_once(case: Case, result: Measured) -> None:
    cpu, wall = _cpu_s(case.server_pid), time.perf_counter()
    facts = case.run()
    result.wall_s.append(time.perf_counter() - wall)
    result.cpu_s.append(_cpu_s(case.server_pid) - cpu)
    result.facts.update(facts or {})


def _cpu_s(server_pid: int) -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return own + (tree_cpu_s(server_pid) if server_pid else 0.0)


def _descendants(pid: int) -> Iterable[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = [int(it) for it in children.read_text().split()]
        except OSError:  # the thread ended while we looked
            continue
        for child in found:
            yield child
            yield from _descendants(child)


def _process_cpu_s(pid: int) -> float:
    try:
        # The name in parentheses may hold spaces; the numbers after it do not.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    ticks = sum(int(it) for it in fields[11:15])  # utime, stime, cutime, cstime
    return ticks / _TICKS_PER_S


def _row(result: Measured, baseline: Measured, facts: Sequence[str]) -> list[str]:
    cells = [result.name]
    for values, base in ((result.wall_s, baseline.wall_s), (result.cpu_s, baseline.cpu_s)):
        median, reference = statistics.median(values), statistics.median(base)
        cells += [
            f"{_seconds(median)} ({_seconds(min(values))})",
            f"{median / reference:.2f}" if reference else "-",
        ]
    return cells + [f"{result.facts[name]:g}" if name in result.facts else "" for name in facts]


def _seconds(value: float) -> str:
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if value < limit:
            return f"{value * factor:.3g} {unit}"
    return f"{value:.3g} s"
