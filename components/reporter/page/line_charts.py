"""The section of the line from network to file: the projection and the masks; ladder_charts draws the rest."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from farebox.components.errors import number
from farebox.components.quantizer.settings import REDUCED
from farebox.components.reporter.page.axis import Axis
from farebox.components.reporter.page.blocks import Block, Figure, Section, missing, table
from farebox.components.reporter.page.charts import BOTTOM, TOP, WIDTH, Chart, shade
from farebox.components.reporter.page.ladder_charts import pareto, parts, sensitivity

MOST_FEATURES = 40  # rows of the heat map of loadings
SAME = 0.02  # difference of two ramps that a picture does not show


def section(sections: Mapping[str, Any], currency: str) -> Section:
    """Pictures of reduction, pruning and quantization."""
    if "ladder" not in sections:
        blocks: list[Block] = [missing("No model was trained, so nothing was reduced, pruned or quantized.")]
        return Section("line", "The line from network to file", tuple(blocks))
    ladder = sections["ladder"]
    blocks = [*projection(sections["projection"], ladder), *pruning(sections["pruning"], ladder)]
    blocks += [*pareto(ladder, currency), sensitivity(ladder["harms"], ladder["trials"]), parts(ladder["parts"])]
    return Section("line", "The line from network to file", tuple(blocks))


def projection(facts: Mapping[str, Any], ladder: Mapping[str, Any]) -> list[Block]:
    """Scree with the cumulative curve and k, loadings, and the first two components."""
    where = f"{facts['method']} of {facts['layer']}'s {facts['space']}s"
    blocks: list[Block] = []
    if not is_reduced(ladder["network"]):
        shipped = f"The chosen file is of the {ladder['network']} network, which is not reduced"
        blocks.append(missing(f"{shipped}; these pictures show what was tried."))
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
    """Correlation of each kept code with each feature as a heat map, a feature a row."""
    rows, names = facts["loadings"], facts["features"]
    largest = sorted(range(len(names)), key=lambda feature: -max(abs(values[feature]) for values in rows))
    drawn = sorted(largest[:MOST_FEATURES], reverse=True)  # the first feature on top
    chart = Chart(
        Axis.of("component", [str(i) for i in range(1, len(rows) + 1)]),
        Axis.of("", [names[feature] for feature in drawn]),
        TOP + BOTTOM + max(16 * len(drawn), 60),
    )
    for (place, feature), (component, values) in itertools.product(enumerate(drawn), enumerate(rows)):
        style = shade(abs(values[feature])) + (" neg" if values[feature] < 0 else "")
        text = f"component {component + 1}, {names[feature]}: {values[feature]:+.2f}"
        chart.rect((component - 0.5, place - 0.5), (component + 0.5, place + 0.5), text, style)
    head = ("component", "features with the largest loadings")
    cells = []
    for row, values in enumerate(rows):
        top = sorted(zip(names, values, strict=True), key=lambda each: -abs(each[1]))[:4]
        cells.append((str(row + 1), ", ".join(f"{name} {value:+.2f}" for name, value in top)))
    note = f"Correlation of codes with features, {where}. A strong colour: a strong correlation; orange: negative."
    if len(drawn) < len(names):
        note += f" Drawn are the {len(drawn)} of {len(names)} features with the largest correlations."
    numbers = table("Loadings", head, cells, 2)
    return Figure(
        "Loadings", "correlation, −1 to 1", chart.svg("Loadings"), numbers, note, (("h8", "+"), ("h8 neg", "−"))
    )


def codes(facts: Mapping[str, Any], where: str) -> Figure:
    """The first two codes of sampled rows, coloured by fare."""
    points = facts["codes"]
    x, y = (Axis.over(f"component {i + 1}", [point[i] for point in points]) for i in (0, 1))
    chart, labels = Chart(x, y, 300), sorted(point[2] for point in points)
    edges = [labels[int(len(labels) * share)] for share in (1 / 3, 2 / 3)]
    for style, low, high in (("h2", None, edges[0]), ("h5", *edges), ("h9", edges[1], None)):
        chosen = [p for p in points if (low is None or p[2] >= low) and (high is None or p[2] < high)]
        chart.dots([(p[0], p[1]) for p in chosen], style, 2.2)
    legend = (
        ("h2", f"fare under {number(edges[0], 3)}"),
        ("h5", "middle third"),
        ("h9", f"{number(edges[1], 3)} or more"),
    )
    title = "First two components"
    note = f"{len(points)} sampled rows of train, {where}."
    return Figure(title, "units of the codes", chart.svg(title), None, note, legend)


def pruning(facts: Mapping[str, Any], ladder: Mapping[str, Any]) -> list[Block]:
    """How sparsity rose in the network that Pruner preferred, and which weights of the chosen file are kept."""
    blocks: list[Block] = []
    steps = {name: each for name, each in facts.get("steps", {}).items() if each}
    if steps:
        blocks.append(ramp(steps, facts["why"]))
    else:
        blocks.append(missing(f"The network that Pruner prefers has no ramp of pruning: {facts['why']}."))
    if not facts["masks"]:
        return [
            *blocks,
            missing(f"The chosen file is of the {ladder['network']} network: none of its weights is pruned."),
        ]
    if not steps:
        also = (
            f"The chosen file is of the {ladder['network']} network: Quantizer chooses among all candidates of Pruner."
        )
        blocks.append(missing(also))
    return [*blocks, *(mask_figure(name, mask) for name, mask in facts["masks"].items())]


def is_reduced(network: str) -> bool:
    """Whether a candidate's network has a layer that PcaReducer narrowed, by its name: `k=12, 25% pruned`."""
    return network == REDUCED or any(part.startswith("k=") for part in network.split(", "))


def ramp(steps: Mapping[str, Sequence[Mapping[str, float]]], why: str) -> Figure:
    """Target and reached sparsity by step."""
    groups = alike(steps)
    last = max(each["step"] for layer in steps.values() for each in layer)
    most = max(each["target"] for layer in steps.values() for each in layer) * 100
    chart = Chart(Axis("training step", 0, last * 1.03), Axis("weights that are zero, %", 0, most * 1.15), 230)
    styles = ("a", "b", "c", "d", "e")
    for index, names in enumerate(groups):
        points = [(each["step"], each["reached"] * 100) for each in steps[names[0]]]
        chart.line(points, styles[index % len(styles)])
    first = next(iter(steps.values()))
    chart.line([(each["step"], each["target"] * 100) for each in first], "ideal")
    cells = [(name, f"{layer[-1]['target']:.1%}", f"{layer[-1]['reached']:.1%}") for name, layer in steps.items()]
    numbers = table("Sparsity", ("layer", "target", "reached"), cells)
    lines = [", ".join(names) + (" (one line)" if len(names) > 1 else "") for names in groups]
    legend = (*((styles[i % len(styles)], line) for i, line in enumerate(lines)), ("ideal", "target"))
    gzip = "Gzip here is of the pruned weights alone, as float16, not of the file."
    note = f"Of the network that Pruner prefers: {why}. {gzip}"
    return Figure("Ramp of sparsity", "% of weights", chart.svg("Ramp of sparsity"), numbers, note, legend)


def alike(steps: Mapping[str, Sequence[Mapping[str, float]]]) -> list[list[str]]:
    """Layers by their ramp: those that differ by less than SAME at each step are drawn as one line."""
    groups: list[list[str]] = []
    for name, layer in steps.items():
        ramp = {each["step"]: each["reached"] for each in layer}
        for group in groups:
            first = {each["step"]: each["reached"] for each in steps[group[0]]}
            if first.keys() == ramp.keys() and all(abs(ramp[step] - first[step]) < SAME for step in ramp):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def mask_figure(name: str, mask: Mapping[str, Any]) -> Figure:
    """The weights that are kept; the longer side, such as a table's ids, lies across."""
    rows, width = mask["shape"]
    is_tall = rows > width
    across, down = (rows, width) if is_tall else (width, rows)
    scale = min(WIDTH / across, 9.0)
    chart = Chart(Axis("", 0, 1), Axis("", 0, 1), int(down * scale) + 2)
    ends = [((r + 0.5) * scale, c * scale, n * scale) for r, c, n in mask["runs"]]
    path = "".join(f"M{y:.1f} {x:.1f}v{n:.1f}" if is_tall else f"M{x:.1f} {y:.1f}h{n:.1f}" for y, x, n in ends)
    frame = f'<rect class="frame" width="{across * scale:.1f}" height="{down * scale:.1f}"/>'
    title = f"Mask of {name}"
    chart.marks.append(f'{frame}<path class="mask" stroke-width="{scale * 0.9:.1f}" d="{path}"/>')
    svg = chart.svg(f"{title}: {mask['kept']:.0%} of {rows} x {width} weights kept", with_axes=False)
    sides = f"{rows} inputs {'across, ' if is_tall else 'down, '}{width} output{'s' * (width > 1)}"
    return Figure(title, f"{sides}; coloured: kept", svg, None, f"{mask['kept']:.1%} of weights kept.")
