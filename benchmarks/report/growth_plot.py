"""The plot of growth: one panel for each series, one line for each contender."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ..model import Result, Series
from .plot import contender_colour, new_figure


def draw_growth(path: Path, caption: str, results: Sequence[Result]) -> None:
    """Draw medians; a dotted line from each first point grows as the work does.

    Raises:
        PlotUnavailableError: matplotlib is not installed.
    """
    panels = [(result, series) for result in results for series in result.benchmark.series]
    figure, axes = new_figure(len(panels), caption)
    for axis, (result, series) in zip(axes, panels, strict=False):
        _draw_panel(axis, result, series)
    figure.savefig(path)


def _draw_panel(axis: Any, result: Result, series: Series) -> None:
    axis.set_axis_on()
    for name in result.samples:
        values = [median(result.values(name, series.at(point))) for point in series.points]
        colour = contender_colour(name)
        axis.plot(series.points, values, marker="o", label=name, color=colour)
        proportional = [values[0] * point / series.points[0] for point in series.points]
        axis.plot(series.points, proportional, linestyle=":", linewidth=1, color=colour)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(series.points, map(series.label, series.points))
    axis.set_xticks([], minor=True)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_title(result.benchmark.title, fontsize=8)
    axis.set_xlabel(series.work, fontsize=8)
    axis.set_ylabel(f"{series.measure.name} [{series.measure.unit}]", fontsize=8)
    if result.samples:
        axis.legend(fontsize=7)
