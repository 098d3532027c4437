"""The figures of docs/benchmarks.md from the JSON files of the measurements.

`python -m benchmarks.plots RESULTS_DIR docs/figures` draws what it finds: end_to_end.json, inline_wait.json,
overhead.json, scale.json.
"""

# pyright: basic, reportMissingImports=false
# The types of matplotlib are partly unknown, and only those who draw need it.

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Row = Mapping[str, Any]

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "asyncfc",
    "svg.fonttype": "none",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}
SHOWN = {
    "eager/one": "#9ecae1",
    "eager/levels": "#4292c6",
    "careful/levels": "#bcbddc",
    "choosing/levels": "#fd8d3c",
    "choosing/turn": "#d94801",
}
"""Agents of the overview, of the eight that are measured, and their colours."""
STYLES = {"eager": "#2171b5", "careful": "#756bb1"}
GREY, BLACK, RED = "#999999", "#222222", "#cb181d"


def speed_up(document: Mapping[str, Any], mode: str) -> Figure:
    """How much faster than sync, cell by cell: agents, parallel calls and the best schedule; read/write labels."""
    cells = [row for row in document["cells"] if row["mode"] == mode and row["policy"] == "read_write"]
    workloads = _in_order(row["workload"] for row in cells)
    conditions = sorted({(row["mean_s"], str(row["decode"])) for row in cells})
    figure, axes = _panels(len(workloads), height_inches=2.1)
    for panel, workload in zip(axes, workloads, strict=True):
        own = [row for row in cells if row["workload"] == workload]

        def line(agent: str, figure_of: Callable[[Row], float], own: Sequence[Row] = own) -> list[float]:
            found = {(row["mean_s"], str(row["decode"])): figure_of(row) for row in own if row["agent"] == agent}
            return [found.get(condition, float("nan")) for condition in conditions]

        places = range(len(conditions))
        panel.plot(
            places,
            line("eager/levels", lambda row: row["sync_s"] / row["parallel_s"]),
            "s-",
            color=GREY,
            ms=3,
            label="parallel calls, no gateway",
        )
        for agent, colour in SHOWN.items():
            panel.plot(places, line(agent, lambda row: row["speed_up"]), "o-", color=colour, ms=3, lw=1, label=agent)
        panel.plot(
            places,
            line("choosing/turn", lambda row: row["sync_s"] / row["best_s"]),
            "_",
            color=BLACK,
            ms=9,
            label="best schedule of choosing/turn",
        )
        panel.axhline(1, color=BLACK, lw=0.6)
        panel.set_title(workload, loc="left")
        panel.set_ylabel("times as fast as sync")
        panel.set_xticks(list(places), [_condition(*condition) for condition in conditions], fontsize=6)
    axes[-1].set_xlabel("mean latency of a tool, and how long the model takes for a step")
    _legend(figure, axes[0])
    return figure


def fraction_of_best(document: Mapping[str, Any]) -> Figure:
    """What part of the best schedule each agent reaches in each cell, and what part the scheduler alone does."""
    cells: Sequence[Row] = document["cells"]
    agents = _in_order(row["agent"] for row in cells)
    figure, axes = _panels(1, height_inches=2.6)
    for offset, name, colour, label in (
        (-0.17, "of_best", "#fd8d3c", "all durations known"),
        (0.17, "of_replayed", "#2171b5", "same waits and awaits (the scheduler alone)"),
    ):
        values = [[row[name] for row in cells if row["agent"] == agent] for agent in agents]
        drawn = axes[0].boxplot(
            values,
            positions=[place + offset for place in range(len(agents))],
            widths=0.28,
            whis=(0, 100),
            patch_artist=True,
            medianprops={"color": BLACK},
        )
        for box in drawn["boxes"]:
            box.set_facecolor(colour)
        drawn["boxes"][0].set_label(label)
    axes[0].axhline(0.95, color=RED, lw=0.8, ls="--", label="target 0.95")
    axes[0].set_xticks(range(len(agents)), agents)
    axes[0].set_ylabel("part of the best schedule")
    _legend(figure, axes[0])
    return figure


def regret_curve(document: Mapping[str, Any]) -> Figure:
    """What each value of the inline wait costs at worst."""
    points: Sequence[Row] = document["curve"]
    values = _in_order(str(row["inline_wait"]) for row in points)
    figure, axes = _panels(2, height_inches=2.1)
    for panel, name, title in (
        (axes[0], "worst_to_sync", "time by sync's, worst cell"),
        (axes[1], "worst_regret", "time by that of the cell's best value, worst cell"),
    ):
        for style, colour in STYLES.items():
            found = {str(row["inline_wait"]): row[name] for row in points if row["style"] == style}
            panel.plot(
                range(len(values)),
                [found.get(value, float("nan")) for value in values],
                "o-",
                color=colour,
                ms=4,
                label=style,
            )
        panel.set_title(title, loc="left")
        panel.set_xticks(range(len(values)), values)
    axes[0].axhline(1.05, color=RED, lw=0.8, ls="--", label="most for eager agents")
    axes[1].set_xlabel("inline_wait_s")
    _legend(figure, axes[0])
    return figure


def bars(rows: Sequence[Row], measure: str, *, group: str, name: str, value: str) -> Figure:
    """One measure as bars with their quartiles: a panel for each group, a bar for each name."""
    own = [row for row in rows if row["measure"] == measure]
    groups = _in_order(row[group] for row in own)
    figure, axes = _panels(len(groups), height_inches=1.7)
    for panel, title in zip(axes, groups, strict=True):
        shown = [row for row in own if row[group] == title and row.get(f"{value}median") is not None]
        middles = [row[f"{value}median"] for row in shown]
        spread = [
            [row[f"{value}median"] - row[f"{value}lower"] for row in shown],
            [row[f"{value}upper"] - row[f"{value}median"] for row in shown],
        ]
        colours = [RED if str(row[name]).startswith("gateway") else GREY for row in shown]
        panel.barh(range(len(shown)), middles, xerr=spread, color=colours, ecolor=BLACK)
        panel.set_yticks(range(len(shown)), [str(row[name]) for row in shown])
        panel.invert_yaxis()
        panel.set_title(f"{title}: {measure}", loc="left")
    return figure


def lines(rows: Sequence[Row], *, by: str, x: str, y: str) -> Figure:
    """One figure against another on logarithmic scales: a line for each value of `by`."""
    figure, axes = _panels(1, height_inches=2.6)
    for name in _in_order(row[by] for row in rows):
        own = sorted((row for row in rows if row[by] == name and row[y] is not None), key=lambda row: row[x])
        axes[0].plot([row[x] for row in own], [row[y] for row in own], "o-", ms=3, label=name)
    axes[0].set_xscale("log")
    axes[0].set_yscale("log")
    axes[0].set_xlabel(x.replace("_", " "))
    axes[0].set_ylabel(y.replace("_", " "))
    _legend(figure, axes[0])
    return figure


def _panels(count: int, *, height_inches: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(8, height_inches * count + 0.5), layout="constrained")
    return figure, [figure.add_subplot(count, 1, number + 1) for number in range(count)]


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _condition(mean_s: float, decode: str) -> str:
    return f"{mean_s:g} s\n{decode if decode == 'tokens' else f'{float(decode):g} s'}"


def drawn(name: str, document: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of one file of results, by file name."""
    match name:
        case "end_to_end":
            modes = {f"speed_up_{mode}": speed_up(document, mode) for mode in ("waits", "overlaps")}
            return {**modes, "fraction_of_best": fraction_of_best(document)}
        case "inline_wait":
            return {"inline_wait": regret_curve(document)}
        case "overhead":
            rows = document["rows"]
            return {
                f"overhead_{number}": bars(rows, measure, group="setting", name="route", value="")
                for number, measure in enumerate(_in_order(row["measure"] for row in rows))
            }
        case "scale":
            figures = ("cpu_us", "bytes_a_future", "wake_up_ms", "submits_per_s")
            return {f"scale_{figure}": lines(document["rows"], by="cell", x="live", y=figure) for figure in figures}
        case _:
            return {}


@click.command()
@click.argument("results", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("figures", type=click.Path(file_okay=False, path_type=Path))
def main(*, results: Path, figures: Path) -> None:
    """Draw everything there are results of."""
    figures.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for file in sorted(results.glob("*.json")):
            for name, figure in drawn(file.stem, json.loads(file.read_text())).items():
                figure.savefig(figures / f"{name}.svg", metadata={"Date": None})
                print(figures / f"{name}.svg")


if __name__ == "__main__":
    main()
