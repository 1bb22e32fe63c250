"""The plot: one panel for each measure, one bar for each contender, a line at the goal."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from ..model import OURS, Measure, Result, Row

COLUMNS = 3
PANEL_INCHES = (4.6, 2.1)
OUR_COLOUR, OTHER_COLOUR, GOAL_COLOUR = "#1f6feb", "#b0b7c0", "#cf222e"


class PlotUnavailableError(Exception):
    """matplotlib is not installed."""


def draw(path: Path, caption: str, results: Sequence[Result]) -> None:
    """Draw medians, with whiskers from the least to the greatest value.

    Raises:
        PlotUnavailableError: matplotlib is not installed.
    """
    panels = [row for result in results for row in _panels(result)]
    figure, axes = new_figure(len(panels), caption)
    for axis, row in zip(axes, panels, strict=False):
        _draw_panel(axis, row)
    figure.savefig(path, dpi=130)


def new_figure(panels: int, caption: str) -> tuple[Any, list[Any]]:
    """A figure with room for that many panels, and their axes, which are still off.

    Raises:
        PlotUnavailableError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotUnavailableError("matplotlib is not installed, so there is no plot") from None
    lines = max(ceil(panels / COLUMNS), 1)
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * COLUMNS, height * lines + 0.8), layout="constrained")
    axes = list(figure.subplots(lines, COLUMNS, squeeze=False).flat)
    for axis in axes:
        axis.set_axis_off()
    figure.supxlabel(caption, fontsize=7)
    return figure, axes


def contender_colour(name: str) -> str:
    return OUR_COLOUR if name == OURS else OTHER_COLOUR


def _panels(result: Result) -> list[Row]:
    """The first row of each measure that a peer has, too: it has the goal."""
    rows: dict[Measure, Row] = {}
    for row in result.rows():
        if row.comparison.peer and row.ours:
            rows.setdefault(row.comparison.measure, row)
    return list(rows.values())


def _draw_panel(axis: Any, row: Row) -> None:
    result, measure = row.result, row.comparison.measure
    contenders = [name for name in result.samples if result.values(name, measure)]
    values = [result.values(name, measure) for name in contenders]
    medians = [median(each) for each in values]
    whiskers = [
        [middle - min(each) for middle, each in zip(medians, values, strict=True)],
        [max(each) - middle for middle, each in zip(medians, values, strict=True)],
    ]
    colours = [contender_colour(name) for name in contenders]
    axis.set_axis_on()
    bars = axis.barh(contenders, medians, xerr=whiskers, color=colours, ecolor="#57606a")
    axis.bar_label(bars, fmt="%.3g", padding=4, fontsize=8)
    axis.invert_yaxis()
    if row.goal is not None:
        axis.axvline(row.goal, color=GOAL_COLOUR, linestyle="--", linewidth=1)
    axis.margins(x=0.15)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    better = "more" if measure.more_is_better else "less"
    axis.set_title(result.benchmark.title, fontsize=8)
    axis.set_xlabel(f"{measure.name} [{measure.unit}], {better} is better", fontsize=8)
