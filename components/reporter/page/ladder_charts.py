"""Pictures of the ladder of formats: candidates by error and bytes, harm of int8, and the bytes of what ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from farebox.components.errors import number
from farebox.components.quantizer.rungs import RUNGS
from farebox.components.quantizer.settings import UNREDUCED
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Table, missing, table
from farebox.components.reporter.page.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Chart

MOST_BARS = 14
CONSTANTS, OPERATORS = "constants: ", "operators: "  # beginnings of the names of `tflite.byte_shares`


def pareto(ladder: Mapping[str, Any], currency: str) -> list[Block]:
    """Error against bytes of every candidate, numbered; the table names the numbers."""
    trials = [(n, trial) for n, trial in enumerate(ladder["trials"], start=1) if trial["bytes"]]
    bound, metric = ladder["bound"], ladder["metric"].upper()
    shown = [(n, trial) for n, trial in trials if trial["error"] < 4 * bound]
    x = Axis.over("size of the file, bytes", [trial["bytes"] for _, trial in shown], is_log=True)
    chart = Chart(x, Axis.over(f"{metric} on eval, {currency}", [*(trial["error"] for _, trial in shown), bound]), 320)
    taken: list[tuple[float, float]] = []
    dots = [chart.at(trial["bytes"], trial["error"]) for _, trial in shown]
    for n, trial in shown:
        text = (
            f"{n}: {describe(trial)}, {trial['bytes']:,} bytes, {metric} {number(trial['error'])}, {trial['verdict']}"
        )
        px, py = chart.at(trial["bytes"], trial["error"])
        if trial["verdict"] == "chosen":
            chart.dot(trial["bytes"], trial["error"], "", "ring", 9)
        chart.dot(trial["bytes"], trial["error"], text, "b" if trial["network"] == UNREDUCED else "a")
        at = free_place(px, py, taken, dots)
        taken.append(at)
        chart.text(*at, str(n), "middle", "label")
    chart.rule(bound, f"budget {number(bound)}", across=True)
    title = "Candidates, and the chosen one"
    legend = (("a", "reduced or pruned network"), ("b", "unreduced network"), ("ring", "chosen"))
    left = len(trials) - len(shown)
    note = f"Chosen: {ladder['why']}." + (
        f" {left} candidates with an error over four budgets are not drawn." if left else ""
    )
    return [
        Figure(title, f"{metric} on eval, {currency}", chart.svg(title), None, note, legend),
        candidates(ladder, metric, currency),
    ]


def candidates(ladder: Mapping[str, Any], metric: str, currency: str) -> Table:
    """The table that names the numbers of the picture."""
    rows = []
    for n, trial in enumerate(ladder["trials"], start=1):
        latency = trial["latency_us"]["p50"] if trial["latency_us"] else None
        verdict = trial["verdict"] + (f": {trial['reason']}" if trial["reason"] else "")
        rows.append((
            str(n), describe(trial), f"{trial['bytes']:,}", f"{trial['gzip_bytes']:,}", number(trial["error"]),
            number(latency, 3), verdict,
        ))  # fmt: skip
    head = ("no.", "format", "bytes", "gzip", f"{metric} on eval, {currency}", "p50, µs", "verdict")
    note = (
        "Bytes and gzip are of the whole file; only the chosen one has ranges yet, which take bytes. p50 is a short "
        "measurement that ranks candidates; the time of the chosen file, under Device, is a longer one."
    )
    return table("Candidates by number", head, rows, 2, note)


def describe(trial: Mapping[str, Any]) -> str:
    """A candidate's format in words."""
    kept = f", {len(trial['kept_float'])} nodes float" if trial["kept_float"] else ""
    return " + ".join([trial["rung"], *trial["steps"]]) + f" of the {trial['network']} network{kept}"


def free_place(
    x: float, y: float, taken: Sequence[tuple[float, float]], dots: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """A place for a short label near a dot where no other label and no dot is."""
    around = ((0, -10), (13, 4), (-13, 4), (0, 18), (11, -9), (-11, -9), (11, 14), (-11, 14))
    places = [(x + dx * radius, y + dy * radius) for radius in (1, 2, 3, 4) for dx, dy in around]
    free = [each for each in places if all(abs(each[0] - a) > 20 or abs(each[1] - b) > 15 for a, b in taken)]
    free = [each for each in free if all(abs(each[0] - a) > 10 or not -15 < b - each[1] < 6 for a, b in dots)]
    inside = [each for each in free if LEFT < each[0] < WIDTH - RIGHT and each[1] > TOP]
    return (inside or free or places)[0]


def sensitivity(harms: Sequence[Mapping[str, Any]], trials: Sequence[Mapping[str, Any]]) -> Block:
    """The harm that each node does if only it is quantized to int8, or why it was not measured."""
    if not harms:
        tried = dict.fromkeys(trial["rung"] for trial in trials)
        integer = [rung for rung in tried if rung in RUNGS and RUNGS[rung].can_keep_float]
        why = f"{', '.join(integer)} held or was too far off" if integer else "this run tried none of those"
        return missing(
            "Sensitivity of each layer: measured only if int8 misses the error budget; "
            f"{why} (tried: {', '.join(tried)})."
        )
    rows = [
        (
            harm["node"].rpartition("/")[2] or harm["node"],
            harm["network"],
            harm["rung"],
            number(harm["error"]),
            f"{harm['increase']:+.4g}",
        )
        for harm in harms
    ]
    head = ("node", "network", "format", "error if only it is int8", "increase")
    return table("Sensitivity: harm of each node in int8", head, rows, 3)


def parts(sizes: Mapping[str, int]) -> Figure:
    """Bytes of the file: of each kind of operator with the constants that it alone reads, and what belongs to none."""
    by_name: dict[str, tuple[int, int]] = {}
    for part, size in sizes.items():
        name = part.removeprefix(CONSTANTS).removeprefix(OPERATORS)
        constants, structure = by_name.get(name, (0, 0))
        is_constant = part.startswith(CONSTANTS)
        by_name[name] = (constants + size * is_constant, structure + size * (not is_constant))
    rows = sorted(by_name.items(), key=lambda row: -sum(row[1]))
    total, title = sum(sizes.values()), "Where the bytes are"
    svg = stacked([*rows[:MOST_BARS], *rest_of(rows[MOST_BARS:])], title)
    cells = [(name, f"{a:,}", f"{b:,}", f"{(a + b) / total:.1%}") for name, (a, b) in rows]
    head = ("part", "constants", "operator and tensors", "share")
    note = (
        f"{total:,} bytes in all. A bar is what the file would lose without all operators of that name: their weights "
        "and other constants, and their description. What several kinds of operators share has its own bar."
    )
    legend = (("a", "constants"), ("b", "operators, their tensors, scales and options"))
    return Figure(title, "bytes", svg, table(title, head, cells), note, legend)


def rest_of(rows: Sequence[tuple[str, tuple[int, int]]]) -> list[tuple[str, tuple[int, int]]]:
    """The sum of rows as one row; none of none."""
    if not rows:
        return []
    return [(f"{len(rows)} others", (sum(a for _, (a, _) in rows), sum(b for _, (_, b) in rows)))]


def stacked(rows: Sequence[tuple[str, tuple[int, int]]], title: str) -> Markup:
    """Horizontal bars of two parts, one after the other."""
    x = Axis.over("bytes", [0.0, *(float(sum(pair)) for _, pair in rows)], zero=True)
    names = [name for name, _ in reversed(rows)]
    chart = Chart(x, Axis.of("", names), TOP + BOTTOM + max(21 * len(rows), 60))
    for place, (name, (first, second)) in enumerate(reversed(rows)):
        for low, high, style, what in ((0, first, "a", "constants"), (first, first + second, "b", "operator")):
            if high > low:
                text = f"{name}, {what}: {high - low:,} bytes"
                chart.rect((float(low), place - 0.34), (float(high), place + 0.34), text, style)
    return chart.svg(title)
