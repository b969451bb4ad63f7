"""The command `farebox`: a table of commands. A command's module is imported when that command is called."""

from __future__ import annotations

import importlib
import sys
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from farebox.pipeline import process
from farebox.pipeline.commands.hints import explain


class Command(NamedTuple):
    """The function of a command, the module that holds it, and the line that `farebox --help` shows."""

    module: str
    function: str
    summary: str


_AT = "farebox.pipeline.commands."
COMMANDS = {
    "run": Command(_AT + "run", "run", "Trains, judges and pushes the fare model of a city."),
    "retrain": Command(_AT + "retrain", "retrain", "Ingests new spans and retrains the model if the policy says so."),
    "spans list": Command(_AT + "spans", "list_spans", "Lists what is in a folder of spans, taken or left, and why."),
    "spans forget": Command(_AT + "spans", "forget", "Takes back a span that a tick took by mistake."),
    "monitor": Command(_AT + "monitor", "monitor", "Shows live errors of pushed versions beside what they promised."),
    "schedule": Command(_AT + "schedule", "schedule", "Runs `farebox retrain` by the clock, here or elsewhere."),
    "predict": Command(_AT + "predict", "predict", "Predicts the fare of one trip, as a device computes it."),
    "evaluate": Command(_AT + "predict", "evaluate", "Measures the error of a .tflite file on raw trips."),
    "report": Command(_AT + "report", "report", "Writes the page of a run again."),
    "history": Command(_AT + "report", "history", "Lists all runs of a city, and writes them as pages."),
    "compare": Command(_AT + "compare", "compare", "Compares two runs or versions on the same trips, by slice."),
    "export": Command(_AT + "export", "export", "Writes a .tflite as source code that needs no runtime."),
    "explore": Command(_AT + "explore", "explore", "Shows a page that computes fares in the browser."),
    "models": Command(_AT + "models", "models", "Lists the pushed versions of each city's model."),
    "lineage": Command(_AT + "lineage", "lineage", "Shows where a pushed version comes from, and who followed it."),
    "rollback": Command(_AT + "models", "rollback", "Points LATEST to an earlier version."),
    "verify": Command(_AT + "models", "verify", "Checks pushed files against their manifests and signatures."),
    "reduce": Command(
        _AT + "reduce",
        "reduce",
        "Compares PCA and seven other reductions of a city's network.",
    ),
    "compress": Command(_AT + "compress", "compress", "Makes any small model the smallest .tflite in a budget."),
    "compile": Command(_AT + "compile", "compile_pipeline", "Writes the pipeline for Kubeflow or Vertex AI."),
    "rehearse": Command(_AT + "compile", "rehearse", "Runs a compiled pipeline's container commands here."),
    "submit": Command(_AT + "submit", "submit", "Sends a compiled pipeline to Kubeflow or Vertex AI, once."),
    "init": Command(_AT + "inspect_data", "init", "Writes a city file for trips that nobody has described."),
    "data inspect": Command(_AT + "inspect_data", "inspect", "Looks at trips and prints a profile to start from."),
    "data simulate": Command(_AT + "simulate", "simulate", "Writes invented trips in a city's own format."),
    "settings": Command(_AT + "settings", "show", "Lists all settings with their defaults and bounds."),
    "doctor": Command(_AT + "doctor", "doctor", "Says what this machine has and what it lacks."),
}
GROUPS = {
    "data": "Trips to work with.",
    "spans": "Lists what is in a folder of spans, or takes a span back.",
}
DEFAULTS = {"spans": "list"}  # the command of a group that is called without one
SETTINGS: dict[str, Any] = {"max_content_width": 120}


class Table(TyperGroup):
    """The commands of COMMANDS whose names begin with `prefix`; help is written from the table alone."""

    def __init__(self, name: str, help: str, prefix: str = "") -> None:  # noqa: A002 - click's own name
        super().__init__(name=name, help=help, no_args_is_help=True, rich_markup_mode=None, context_settings=SETTINGS)
        self.prefix = prefix
        names = (name.removeprefix(prefix) for name in COMMANDS if name.startswith(prefix))
        placeholders: dict[str, Any] = dict.fromkeys(name.split()[0] for name in names)
        self.commands = placeholders  # typer reads the names to suggest one for a wrong one

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table; a group stands where its first command does."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - click's signature
        """The command, from its module; None if there is none of this name."""
        if cmd_name in GROUPS and not self.prefix:
            return Table(cmd_name, GROUPS[cmd_name], f"{cmd_name} ")
        entry = COMMANDS.get(self.prefix + cmd_name)
        return click_command(cmd_name, entry) if entry else None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts the group's default command before options."""
        default = DEFAULTS.get(self.name or "")
        needs_default = default and args != ["--help"] and (not args or args[0].startswith("-"))
        return super().parse_args(ctx, [default, *args] if default and needs_default else args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One line for each command."""
        rows = [(name, GROUPS.get(name) or COMMANDS[self.prefix + name].summary) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def click_command(name: str, entry: Command) -> Any:
    """The command that typer makes of a function's signature."""
    only = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    only.command(name, context_settings=SETTINGS)(getattr(importlib.import_module(entry.module), entry.function))
    return get_command(only)


app = Table("farebox", "Raw taxi trips to a small, fast, gated on-device fare model.")


def main() -> None:
    """The console command. Exit codes: 0 done, 2 bad input, 3 a gate refused; a bug prints a traceback."""
    if code := process.code_of(app, lambda message: explain(message, sys.argv[1:])):
        sys.exit(code)
