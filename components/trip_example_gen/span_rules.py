"""Rules by which spans are left out although they are complete: their dates, times, numbers and names. Reads no files.

A wrong number in a folder's name must not take over: the newest span decides which spans a model is trained on.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from farebox.components.trip_example_gen.span_pattern import name_of_span

SpanVersion = tuple[int, int]


def jumps(numbers: Iterable[int], size: int, newest: int | None = None, alone: Collection[int] = ()) -> dict[int, int]:
    """The spans that lie more than `size` beyond the span before them, and that span.

    A jump that another span follows within `size` is believed: a source that starts again after a pause goes on with
    its second span, while one wrong number stays out. newest: the newest span that is known already; spans up to it are
    no jumps. alone: spans that support no other.
    """
    before, refused = newest, {}
    for chain in _chains(sorted(set(numbers) - set(alone)), size, newest):
        if before is not None and len(chain) == 1 and chain[0] > before + size:
            refused[chain[0]] = before
        else:
            before = chain[-1]
    for span in sorted(set(alone)):
        if before is not None and span > before + size:
            refused[span] = before
    return refused


def _chains(numbers: list[int], size: int, newest: int | None) -> Iterator[list[int]]:
    """The numbers above `newest`, parted where one lies more than `size` beyond the one before it."""
    chain: list[int] = []
    for number in (each for each in numbers if newest is None or each > newest):
        if chain and number > chain[-1] + size:
            yield chain
            chain = []
        chain.append(number)
    if chain:
        yield chain


def why_future(pattern: str, span: int, tomorrow: int | None) -> str:
    """Why a dated span cannot have come yet; empty if it can, or has no date."""
    if tomorrow is None or span <= tomorrow:
        return ""
    return f"it is dated after tomorrow, {name_of_span(pattern, tomorrow)}"


def why_jump(pattern: str, span: int, before: int, size: int) -> str:
    """Why a span is left out that `jumps` names."""
    return (
        f"it is {span - before} after span {name_of_span(pattern, before)}, more than spans.window={size}: it is taken "
        "once another span follows it within the window"
    )


def twins(found: Iterable[tuple[SpanVersion, str]]) -> dict[str, str]:
    """Why, by path, of paths that stand for the same span and version, such as `span-1` and `span-01`."""
    listed = sorted(found)
    counts = Counter(key for key, _ in listed)
    grouped = itertools.groupby((each for each in listed if counts[each[0]] > 1), key=lambda each: each[0])
    groups = [[path for _, path in group] for _, group in grouped]
    return {
        path: f"{' and '.join(paths)} are the same span: none of them is taken before the others are removed"
        for paths in groups
        for path in paths
    }
