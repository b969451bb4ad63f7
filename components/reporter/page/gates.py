"""The section of the gates: each as a bar from nothing used to its bound and beyond, the closest first."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from farebox.components.errors import Check, number
from farebox.components.reporter.gate_words import in_words
from farebox.components.reporter.page.blocks import Block, Section, Table, missing, table
from farebox.components.reporter.verdict import Margin, margins, word

BOUND, MOST = 70.0, 100.0  # places of the bound and of the end of a bar, in percent
NEAR = 0.8  # share of the bound from which a bar has another colour
LEGEND = (
    ("fine", f"holds, up to {NEAR:.0%} of the bound used"),
    ("near", f"holds, more than {NEAR:.0%} used or beyond it within noise"),
    ("bad", "refuses or warns"),
)
HEAD = ("gate", "measured against its bound", "measured", "interval", "bound", "margin", "verdict")


def section(checks: Sequence[Check]) -> Section:
    """Gates with a margin as bars, then checks that are yes or no, and those that had nothing to compare."""
    ranked = margins(checks)
    bars = [margin for margin in ranked if margin.used is not None]
    uncompared = [margin.check for margin in ranked if margin.used is None and margin.check.bound is None]
    plain = [margin.check for margin in ranked if margin.used is None and margin.check.bound is not None]
    blocks: list[Block] = []
    if bars:
        note = (
            "The mark on each bar is the bound; the line is the interval, where one was measured. A bound on bias, a "
            "slice or a change refuses only if the whole interval is beyond it."
        )
        rows = [row(margin) for margin in bars]
        blocks.append(Table("Gates by margin, the closest first", HEAD, tuple(rows), 2, note, LEGEND))
    else:
        blocks.append(missing("No gate measured a margin in this run."))
    if uncompared:
        rows = [(in_words(check.name), check.name, why_not(check)) for check in uncompared]
        blocks.append(table("Not compared", ("gate", "name", "why"), rows, 3))
    if plain:
        rows = [(in_words(each.name), number(each.value), condition(each), word(each)) for each in plain]
        blocks.append(table("Yes or no", ("gate", "measured", "needed", "verdict"), rows))
    return Section("gates", "Gates", tuple(blocks))


def why_not(check: Check) -> str:
    """The reason why a check compared nothing: its detail, or that no bound is set."""
    return f"no bound is set; measured {number(check.value)}" if check.value else check.detail or "no bound is set"


def row(margin: Margin) -> tuple[str | Markup, ...]:
    """The cells of a gate."""
    check = margin.check
    low, high = check.lower, check.upper
    interval = "–" if low is None or high is None else f"{number(low)} to {number(high)}"
    return (
        Markup(f"{escape(in_words(check.name))} <code>{escape(check.name)}</code>"),
        bar(margin),
        number(check.value),
        interval,
        condition(check),
        f"{1 - (margin.used or 0):+.0%}".replace("+", ""),
        word(check),
    )


def bar(margin: Margin) -> Markup:
    """The share of the bound as a bar, the interval as a line, the bound as a mark."""
    check, used = margin.check, margin.used or 0.0
    style = "bad" if not check.ok else "near" if used > NEAR else "fine"
    ends = [end for end in (check.lower, check.upper) if end is not None and check.bound]
    line = ""
    if len(ends) == 2 and check.bound and not check.at_least:
        low, high = (place(end / check.bound) for end in ends)
        line = f'<path class="whisker" d="M{low:.1f} 8H{max(high, low + 0.5):.1f}"/>'
    text = f"{check.name}: {used:.0%} of the bound used"
    return Markup(
        f'<svg class="gauge" viewBox="0 0 {MOST:.0f} 16" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(text)}"><rect class="track" width="{MOST:.0f}" height="10" y="3"/>'
        f'<rect class="{style}" width="{place(used):.1f}" height="10" y="3"/>{line}'
        f'<path class="bound" d="M{BOUND} 0V16"/></svg>'
    )


def place(share: float) -> float:
    """Percent of the bar's length for a share of the bound."""
    return min(max(share, 0.0) * BOUND, MOST)


def condition(check: Check) -> str:
    """The bound in words."""
    if check.bound is None:
        return "–"
    if check.bound == check.value == 1:
        return "1"
    return f"{'at least' if check.at_least else 'at most'} {number(check.bound)}"
