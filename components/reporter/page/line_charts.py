"""The section of the line from network to file: the projection, the masks, the ladder of formats, the bytes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.reporter.page.blocks import Block, Figure, Section, Table, missing, table
from farebox.components.reporter.page.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Axis, Chart, bars, number, shade

STYLES = {"reduced": "a", "unreduced": "b"}


def section(sections: Mapping[str, Any]) -> Section:
    """Pictures of reduction, pruning and quantization."""
    if "ladder" not in sections:
        blocks: list[Block] = [missing("No model was trained, so nothing was reduced, pruned or quantized.")]
        return Section("line", "The line from network to file", tuple(blocks))
    ladder = sections["ladder"]
    blocks = [*projection(sections["projection"], ladder), *pruning(sections["pruning"], ladder)]
    blocks += [*pareto(ladder), sensitivity(ladder["harms"]), parts(ladder["parts"])]
    return Section("line", "The line from network to file", tuple(blocks))


def projection(facts: Mapping[str, Any], ladder: Mapping[str, Any]) -> list[Block]:
    """Scree with the cumulative curve and k, loadings, and the first two components."""
    where = f"{facts['method']} of {facts['layer']}'s {facts['space']}s"
    blocks: list[Block] = []
    if ladder["network"] == "unreduced":
        blocks.append(missing("What shipped is the unreduced network; these pictures show what was tried."))
    if facts["ratios"]:
        blocks.append(scree(facts, where))
    if facts["loadings"]:
        blocks.append(loadings(facts, where))
    blocks.append(
        codes(facts, where) if facts["codes"] else missing("The first two components: the projection keeps no codes.")
    )
    return blocks


def scree(facts: Mapping[str, Any], where: str) -> Figure:
    """Share of variance by component, its running sum, and the k that was chosen."""
    ratios, k = facts["ratios"], facts["k"]
    sums = list(itertools.accumulate(ratios))
    chart = Chart(Axis("component", 0.4, len(ratios) + 0.6), Axis("share of variance, %", 0, 105))
    for place, ratio in enumerate(ratios, start=1):
        style = "a" if place <= k else "muted"
        chart.rect((place - 0.4, 0), (place + 0.4, ratio * 100), f"component {place}: {ratio:.1%}", style)
    chart.line([(place, share * 100) for place, share in enumerate(sums, start=1)], "b")
    chart.rule(k + 0.5, f"k = {k}: {sums[min(k, len(sums)) - 1]:.1%}")
    rows = [
        (str(i), f"{ratio:.2%}", f"{total:.2%}") for i, (ratio, total) in enumerate(zip(ratios, sums, strict=True), 1)
    ]
    numbers = table("Variance", ("component", "share", "cumulative"), rows)
    note = f"{where}; {facts['why']}."
    legend = (("a", "kept"), ("muted", "dropped"), ("b", "cumulative"))
    return Figure("Scree", "% of variance", chart.svg("Scree with cumulative curve"), numbers, note, legend)


def loadings(facts: Mapping[str, Any], where: str) -> Figure:
    """Correlation of each kept code with each feature as a heat map, the features' names in the table."""
    rows, names = facts["loadings"], facts["features"]
    chart = Chart(
        Axis.of("feature", [name.rpartition("[")[2].rstrip("]") for name in names]),
        Axis.of("component", [str(i) for i in range(len(rows), 0, -1)]),
        TOP + BOTTOM + max(16 * len(rows), 60),
    )
    for row, values in enumerate(rows):
        place = len(rows) - 1 - row
        for column, value in enumerate(values):
            style = shade(abs(value)) + (" neg" if value < 0 else "")
            text = f"component {row + 1}, {names[column]}: {value:+.2f}"
            chart.rect((column - 0.5, place - 0.5), (column + 0.5, place + 0.5), text, style)
    head = ("component", "features with the largest loadings")
    cells = []
    for row, values in enumerate(rows):
        top = sorted(zip(names, values, strict=False), key=lambda pair: -abs(pair[1]))[:4]
        cells.append((str(row + 1), ", ".join(f"{name} {value:+.2f}" for name, value in top)))
    note = f"Correlation of codes with features, {where}. Dark: strong; orange: negative."
    numbers = table("Loadings", head, cells, 2)
    return Figure(
        "Loadings", "correlation, −1 to 1", chart.svg("Loadings"), numbers, note, (("h8", "+"), ("h8 neg", "−"))
    )


def codes(facts: Mapping[str, Any], where: str) -> Figure:
    """The first two codes of sampled rows, coloured by label."""
    points = facts["codes"]
    x, y = (Axis.over(f"component {i + 1}", [point[i] for point in points]) for i in (0, 1))
    chart, labels = Chart(x, y, 300), sorted(point[2] for point in points)
    edges = [labels[int(len(labels) * share)] for share in (1 / 3, 2 / 3)]
    for style, low, high in (("h2", None, edges[0]), ("h5", *edges), ("h9", edges[1], None)):
        chosen = [p for p in points if (low is None or p[2] >= low) and (high is None or p[2] < high)]
        chart.dots([(p[0], p[1]) for p in chosen], style, 2.2)
    legend = (
        ("h2", f"label under {number(edges[0], 3)}"),
        ("h5", "middle third"),
        ("h9", f"{number(edges[1], 3)} or more"),
    )
    title = "First two components"
    note = f"{len(points)} sampled rows of train, {where}."
    return Figure(title, "units of the codes", chart.svg(title), None, note, legend)


def pruning(facts: Mapping[str, Any], ladder: Mapping[str, Any]) -> list[Block]:
    """How sparsity rose, and the masks of what shipped."""
    if ladder["network"] == "unreduced":
        return [missing("Pruning: what shipped is the unreduced network, which is not pruned, so it has no masks.")]
    blocks: list[Block] = []
    steps = {name: each for name, each in facts.get("steps", {}).items() if each}
    if steps:
        blocks.append(ramp(steps, facts["why"]))
    else:
        blocks.append(missing(f"Pruning: no ramp was recorded. {facts['why']}"))
    for name, mask in facts["masks"].items():
        blocks.append(mask_figure(name, mask))
    return blocks


def ramp(steps: Mapping[str, Sequence[Mapping[str, float]]], why: str) -> Figure:
    """Target and reached sparsity by step."""
    last = max(each["step"] for layer in steps.values() for each in layer)
    most = max(each["target"] for layer in steps.values() for each in layer) * 100
    chart = Chart(Axis("training step", 0, last * 1.03), Axis("weights that are zero, %", 0, most * 1.15), 230)
    styles = ("a", "b", "c", "d", "e")
    for index, layer in enumerate(steps.values()):
        chart.line([(each["step"], each["reached"] * 100) for each in layer], styles[index % len(styles)])
    first = next(iter(steps.values()))
    chart.line([(each["step"], each["target"] * 100) for each in first], "ideal")
    cells = [(name, f"{layer[-1]['target']:.1%}", f"{layer[-1]['reached']:.1%}") for name, layer in steps.items()]
    numbers = table("Sparsity", ("layer", "target", "reached"), cells)
    legend = (*((styles[i % len(styles)], name) for i, name in enumerate(steps)), ("ideal", "target"))
    return Figure("Ramp of sparsity", "% of weights", chart.svg("Ramp of sparsity"), numbers, f"{why}.", legend)


def mask_figure(name: str, mask: Mapping[str, Any]) -> Figure:
    """The weights that are kept, row by row."""
    rows, width = mask["shape"]
    scale = min(WIDTH / width, 9.0)
    chart = Chart(Axis("", 0, 1), Axis("", 0, 1), int(rows * scale) + 2)
    path = "".join(f"M{c * scale:.1f} {(r + 0.5) * scale:.1f}h{n * scale:.1f}" for r, c, n in mask["runs"])
    frame = f'<rect class="frame" width="{width * scale:.1f}" height="{rows * scale:.1f}"/>'
    title = f"Mask of {name}"
    chart.marks.append(f'{frame}<path class="mask" stroke-width="{scale * 0.9:.1f}" d="{path}"/>')
    svg = chart.svg(f"{title}: {mask['kept']:.0%} of {rows} x {width} weights kept", with_axes=False)
    return Figure(
        title, f"{rows} inputs x {width} outputs; dark: kept", svg, None, f"{mask['kept']:.1%} of weights kept."
    )


def pareto(ladder: Mapping[str, Any]) -> list[Block]:
    """Error against bytes of every candidate, numbered; the table names the numbers."""
    trials = [(n, trial) for n, trial in enumerate(ladder["trials"], start=1) if trial["bytes"]]
    bound, metric = ladder["bound"], ladder["metric"].upper()
    shown = [(n, trial) for n, trial in trials if trial["error"] < 4 * bound]
    x = Axis.over("size of the file, bytes", [trial["bytes"] for _, trial in shown], is_log=True)
    chart = Chart(x, Axis.over(f"{metric} on eval", [*(trial["error"] for _, trial in shown), bound]), 320)
    taken: list[tuple[float, float]] = []
    for n, trial in shown:
        text = (
            f"{n}: {describe(trial)}, {trial['bytes']:,} bytes, {metric} {number(trial['error'])}, {trial['verdict']}"
        )
        px, py = chart.at(trial["bytes"], trial["error"])
        if trial["verdict"] == "chosen":
            chart.dot(trial["bytes"], trial["error"], "", "ring", 9)
        chart.dot(trial["bytes"], trial["error"], text, STYLES.get(trial["network"], "c"))
        at = free_place(px, py, taken)
        taken.append(at)
        chart.text(*at, str(n), "middle", "label")
    chart.rule(bound, f"budget {number(bound)}", across=True)
    title = "Candidates, and the one that ships"
    legend = (("a", "reduced network"), ("b", "unreduced network"), ("ring", "ships"))
    left = len(trials) - len(shown)
    note = f"Chosen: {ladder['why']}." + (
        f" {left} candidates with an error over four budgets are not drawn." if left else ""
    )
    return [Figure(title, f"{metric} on eval", chart.svg(title), None, note, legend), candidates(ladder, metric)]


def candidates(ladder: Mapping[str, Any], metric: str) -> Table:
    """The table that names the numbers of the picture."""
    rows = []
    for n, trial in enumerate(ladder["trials"], start=1):
        latency = trial["latency_us"]["p50"] if trial["latency_us"] else None
        verdict = trial["verdict"] + (f": {trial['reason']}" if trial["reason"] else "")
        rows.append((
            str(n), describe(trial), f"{trial['bytes']:,}", f"{trial['gzip_bytes']:,}", number(trial["error"]),
            number(latency, 3), verdict,
        ))  # fmt: skip
    head = ("no.", "format", "bytes", "gzip", f"{metric} on eval", "p50, µs", "verdict")
    return table("Candidates by number", head, rows, 2)


def describe(trial: Mapping[str, Any]) -> str:
    """A candidate's format in words."""
    kept = f", {len(trial['kept_float'])} nodes float" if trial["kept_float"] else ""
    return " + ".join([trial["rung"], *trial["steps"]]) + f" of the {trial['network']} network{kept}"


def free_place(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """A place for a short label near a dot where no other label is."""
    around = ((0, -10), (13, 4), (-13, 4), (0, 18), (11, -9), (-11, -9), (11, 14), (-11, 14))
    places = [(x + dx * radius, y + dy * radius) for radius in (1, 2, 3, 4) for dx, dy in around]
    free = [each for each in places if all(abs(each[0] - a) > 20 or abs(each[1] - b) > 15 for a, b in taken)]
    inside = [each for each in free if LEFT < each[0] < WIDTH - RIGHT and each[1] > TOP]
    return (inside or free or places)[0]


def sensitivity(harms: Sequence[Mapping[str, Any]]) -> Block:
    """The harm that each node does if only it is quantized to int8."""
    if not harms:
        return missing("Sensitivity: no node was quantized to int8 by itself, because no full int8 rung came close.")
    rows = [
        (
            harm["node"].rpartition("/")[2] or harm["node"],
            harm["network"],
            number(harm["error"]),
            f"{harm['increase']:+.4g}",
        )
        for harm in harms
    ]
    head = ("node", "network", "error if only it is int8", "increase")
    return table("Sensitivity: harm of each node in int8", head, rows, 2)


def parts(sizes: Mapping[str, int]) -> Figure:
    """Bytes of the file by part."""
    names, total = list(sizes), sum(sizes.values())
    rows = [(float(size), None, None, f"{name}: {size:,} bytes, {size / total:.0%}") for name, size in sizes.items()]
    title = "Where the bytes are"
    svg = bars(names, "bytes", rows, name=title)
    cells = [(name, f"{size:,}", f"{size / total:.1%}") for name, size in sizes.items()]
    note = f"{total:,} bytes in all. Constants count for the operator that reads them."
    return Figure(title, "bytes", svg, table(title, ("part", "bytes", "share"), cells), note)
