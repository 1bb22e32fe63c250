"""What a benchmark is: contenders, measures and goals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from .servers.registry import LocalRegistry

OURS = "push-queue"

Values = Mapping[str, float]
"""What one run measured: a measure's name to the value in its unit."""

Contender = Callable[[LocalRegistry], Values]
"""One cold run against a fresh, empty registry."""


@dataclass(frozen=True)
class Measure:
    """Something measured, with its unit. Less is better, except for rates and with ``more``."""

    name: str
    unit: str
    more: bool = False

    @property
    def more_is_better(self) -> bool:
        return self.more or self.unit.endswith("/s")


@dataclass(frozen=True)
class Reach:
    """A bound on the ratio to the peer, or on our own value."""

    bound: Literal["at most", "at least"]
    limit: float
    of: Literal["ratio", "value"] = "ratio"

    def __str__(self) -> str:
        sign = "≤" if self.bound == "at most" else "≥"
        return f"{sign} {self.limit:.2f}x" if self.of == "ratio" else f"{sign} {self.limit:g}"


@dataclass(frozen=True)
class Comparison:
    """One row of the table: our measure beside a peer's, if any."""

    measure: Measure
    peer: str | None = None
    reach: Reach | None = None


@dataclass(frozen=True)
class Scale:
    """Full sizes, or smaller ones for a quick look."""

    divisor: int = 1

    def bytes(self, full: int) -> int:
        return full // self.divisor

    def count(self, full: int) -> int:
        return max(full // self.divisor, 2)

    def points(self, full: Sequence[int]) -> tuple[int, ...]:
        """The points up to the largest divided by the divisor, and at least the first two."""
        largest = max(full[-1] // self.divisor, full[1])
        return tuple(point for point in full if point <= largest)


@dataclass(frozen=True)
class Series:
    """A measure at growing amounts of work, the least first."""

    measure: Measure
    work: str
    """What grows."""
    points: tuple[int, ...]
    label: Callable[[int], str] = str

    def at(self, point: int) -> Measure:
        """The measure at one amount of work."""
        name = f"{self.measure.name}, {self.work} {self.label(point)}"
        return Measure(name, self.measure.unit)

    @property
    def last_step(self) -> Measure:
        """The cost of a unit of work at the last point to that at the one before."""
        return Measure(f"{self.measure.name} by {self.work}, last step", "times")


@dataclass(frozen=True)
class Benchmark:
    """Contenders doing the same work, run by turns."""

    name: str
    title: str
    room: int
    """Bytes of memory that images, registry and contenders take at once."""
    comparisons: tuple[Comparison, ...]
    prepare: Callable[[Path], Mapping[str, Contender]]
    """Makes the images, in a folder that lasts as long as the benchmark."""
    disk: int = 0
    """Bytes of images to keep on disk, if no time is measured; otherwise they are in memory."""
    most_runs: int | None = None
    series: tuple[Series, ...] = ()
    """The series, if there is one; it gets a plot of its own."""


@dataclass
class Result:
    """The outcome of a benchmark: values by contender and run, failures by contender."""

    benchmark: Benchmark
    samples: dict[str, list[Values]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: str | None = None

    def values(self, contender: str | None, measure: Measure) -> list[float]:
        runs = self.samples.get(contender or "", [])
        return [values[measure.name] for values in runs if measure.name in values]

    def rows(self) -> Iterator["Row"]:
        for comparison in self.benchmark.comparisons:
            yield Row(self, comparison)


@dataclass(frozen=True)
class Row:
    """A comparison with its outcome; medians of the runs."""

    result: Result
    comparison: Comparison

    @property
    def ours(self) -> list[float]:
        return self.result.values(OURS, self.comparison.measure)

    @property
    def theirs(self) -> list[float]:
        return self.result.values(self.comparison.peer, self.comparison.measure)

    @property
    def ratio(self) -> float | None:
        """The ratio of ours to theirs, if there is one: a small run may measure nothing."""
        if not self.ours or not self.theirs or not median(self.theirs):
            return None
        return median(self.ours) / median(self.theirs)

    @property
    def goal(self) -> float | None:
        """The goal, in the measure's unit."""
        reach = self.comparison.reach
        if reach is None or reach.of == "value":
            return reach.limit if reach else None
        return reach.limit * median(self.theirs) if self.theirs else None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without a goal or a value."""
        if self.comparison.reach is None or self.goal is None or not self.ours:
            return None
        value = median(self.ours)
        at_most = self.comparison.reach.bound == "at most"
        return value <= self.goal if at_most else value >= self.goal
