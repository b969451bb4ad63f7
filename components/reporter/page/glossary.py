"""Terms that a newcomer may not know: what each means, and links from a text to them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from farebox.components.reporter.page.blocks import Section, Terms

# name -> other forms of it in a text (a regular expression), and what it means
TERMS: Mapping[str, tuple[str, str]] = {
    "RMSE": ("RMSE", "Root of the mean squared error. Large errors count more than many small ones."),
    "MAE": ("MAE|mean absolute error", "Mean of the errors without their signs."),
    "bias": ("bias", "Mean of the errors with their signs: below 0, the model answers too little."),
    "interval": (
        "intervals?|95 %",
        "Where the value would lie in 95 of 100 samples of trips like these. A paired interval is of a difference on "
        "the same trips, so what is hard for both models does not blur it.",
    ),
    "train, eval, test": (
        "train(?! on)|eval|test|splits?",
        "The three parts of the trips. The network learns from train, eval chooses among candidates, test judges what "
        "was chosen: no step sees it before.",
    ),
    "gate": ("gates?|bounds?", "A check with a bound. If one refuses, nothing is pushed and the last version stays."),
    "within noise": ("within noise|chance", "Beyond a bound by less than the interval: too little evidence."),
    "accepted model": (
        "(?:last )?(?:accepted|blessed)(?: models?| data| run)?|blessed",
        "A model that every gate let pass. TFX, on which Farebox runs, calls it blessed.",
    ),
    "yardstick": (
        "yardsticks?",
        "A simple model, trained on the same trips, that the shipped one has to be measured against.",
    ),
    "course's baseline": (
        "course's baseline|raw columns",
        "A network on the columns as they come, without distances or directions: the start of the course on machine "
        "learning that this design comes from.",
    ),
    "embedding": ("embeddings?", "Numbers that a network learns for each value of a category, such as an area."),
    "label": ("labels?", "The number to predict: the fare."),
    "slice": ("slices?", "Trips that have something in common, such as an hour; judged by themselves."),
    "range": (
        "ranges?|coverage",
        "Two ends that the file gives with a fare: the promised share of fares lies between.",
    ),
    "drift": ("drift", "How much the trips differ from those of the last accepted model."),
    "span": ("spans?", "Trips that arrive together, such as those of a day."),
    "reduction, k": (
        "reduction|reduced|components?|PCA|pca|scree|loadings?",
        "A wide layer is replaced by k combinations of its numbers, the principal components, that keep most of the "
        "variance. Scree: variance by component; loadings: what each is made of.",
    ),
    "pruning": (
        "prun(?:ed|ing)|sparsity|masks?",
        "Weights that matter least become 0: they take few bytes after gzip.",
    ),
    "quantization": (
        "quantiz(?:ed|ation)|int8_weights|int8|float16|float32|formats?",
        "Weights in fewer bits. float32: 4 bytes each; float16: 2; int8_weights: 1, computed in float32; int8: 1, and "
        "computed in integers too.",
    ),
    "gzip": ("gzip", "Size after compression, as a download has it; zeros cost little then."),
    "operator": ("operators?", "A step of the file's computation, such as FULLY_CONNECTED, one layer."),
    "p50, p99": ("p50|p99|99th percentile|median", "Half of the values, or 99 of 100, lie below."),
    "runtime": (
        "runtimes?|Interpreter|CompiledModel|tflite-micro|XNNPACK|delegates?",
        "A program that runs the file. Interpreter and CompiledModel are LiteRT's on phones and computers; "
        "tflite-micro is for microcontrollers. XNNPACK, a delegate, has the fast kernels of Interpreter.",
    ),
    "importance": (
        "importance|shuffled",
        "How much worse the model becomes if an input's values are dealt to the trips anew.",
    ),
    "lane": ("lanes?", "A set of versions: A has TFX 1.16 on Python 3.10; B has TFX 1.21 on Python 3.11 to 3.13."),
    "SHA-256": ("SHA-256", "A short text that differs as soon as a file's bytes do."),
    "fingerprint": (
        "fingerprints?",
        "A short text that differs as soon as a file does: its bytes (sha256:), or its name, size or time (files:), "
        "which another machine's copy does not share.",
    ),
    "CPU seconds": ("CPU seconds|CPU s", "Time of work, summed over cores; elapsed time is what a clock shows."),
}
PATTERN = re.compile("|".join(
    rf"(?P<t{place}>(?<![\w.-])(?:{forms})(?![\w-]|\.\w))" for place, (forms, _) in enumerate(TERMS.values())
), re.IGNORECASE)  # fmt: skip


def anchor(name: str) -> str:
    """The id of a term."""
    return "term-" + re.sub(r"\W+", "-", name.lower()).strip("-")


@dataclasses.dataclass
class Linker:
    """Links the first place of each term in a section to what it means."""

    seen: set[str] = dataclasses.field(default_factory=set)

    def restart(self) -> str:
        """Begins a section."""
        self.seen.clear()
        return ""

    def __call__(self, text: str | Markup) -> Markup:
        """The text with links; Markup stays as it is."""
        return text if isinstance(text, Markup) else Markup(PATTERN.sub(self._link, str(escape(text))))

    def _link(self, found: re.Match[str]) -> str:
        name = list(TERMS)[int((found.lastgroup or "t0")[1:])]
        if name in self.seen:
            return found[0]
        self.seen.add(name)
        return f'<a class="term" href="#{anchor(name)}">{found[0]}</a>'


def section() -> Section:
    """All terms with what they mean."""
    rows = tuple((anchor(name), name, text) for name, (_, text) in TERMS.items())
    return Section("terms", "Terms", (Terms(rows),))
