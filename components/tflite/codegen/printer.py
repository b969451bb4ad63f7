"""The part of a printer that all languages share: expressions, statements, tables of constants and comments."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from farebox.components.tflite.codegen import ir
from farebox.components.tflite.codegen.places import SCRATCH

WIDTH = 112  # of a line of constants


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts in the header of a generated file.

    stem: the name of function and files. meanings: a line for each input, by its name in the file, as far as known;
    result: the same for the output.
    """

    stem: str
    origin: str
    sha256: str
    meanings: dict[str, str]
    result: str


class Printer:
    """Writes a program in one language. This class writes what C, JavaScript, Kotlin, Swift and Rust have in common."""

    INDENT: ClassVar[str] = "    "
    COMMENT: ClassVar[str] = "// "
    FUNCTIONS: ClassVar[dict[str, str]] = {}
    HELPERS: ClassVar[dict[str, str]] = {}
    TYPES: ClassVar[dict[str, str]] = {}
    TERNARY: ClassVar[str] = "({0} ? {1} : {2})"
    HAS_BARE_CHOICE: ClassVar[bool] = False  # whether the parts of a choice need no parentheses

    def __init__(self, program: ir.Program, facts: Facts) -> None:
        self.program, self.facts = program, facts
        self._used: set[str] = set()
        self._names = {each.name: self.parameter_name(each.name) for each in program.parameters}

    # What a language may write in its own way.

    def parameter_name(self, name: str) -> str:
        """The name of a parameter in the language's style."""
        return name

    def constant_name(self, name: str) -> str:
        """The name of a constant in the language's style."""
        return name

    def literal(self, kind: ir.Type, value: float | int | bool) -> str:
        """A number, as the language writes it."""
        if kind == "bool":
            return "true" if value else "false"
        return self.float_literal(value) if kind == "f32" else str(value)

    def float_literal(self, value: float) -> str:
        """A float32 number, as the language writes it."""
        return shortest(value)

    def load(self, load: ir.Load) -> str:
        """An element of an array, as a value."""
        return self.element(load.array, load.index)

    def arithmetic(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:  # noqa: ARG002
        """+, -, *, / of two values of one type; integers wrap."""
        return f"({operands[0]} {operator} {operands[1]})"

    def compare(self, kind: ir.Type, operator: str, operands: Sequence[str]) -> str:  # noqa: ARG002
        """A comparison of two values of a type."""
        return f"({operands[0]} {operator} {operands[1]})"

    def logic(self, operator: str, operands: Sequence[str]) -> str:
        """`and`, `or`, `not`."""
        if operator == "not":
            return f"!{operands[0]}"
        return f"({operands[0]} {'&&' if operator == 'and' else '||'} {operands[1]})"

    def cast(self, source: ir.Type, target: ir.Type, value: str) -> str:
        """A value in another type."""
        raise NotImplementedError

    def loop(self, variable: str, count: int) -> str:
        """The head of a loop."""
        return f"for (int {variable} = 0; {variable} < {count}; {variable}++)"

    def let(self, let: ir.Let, value: str) -> str:
        """The declaration of a name."""
        return f"const {self.TYPES[let.value.type]} {let.name} = {value};"

    def guard(self, condition: str) -> list[str]:
        """The end of the function with NaN, unless the condition holds."""
        return [f"if (!({bare(condition)})) {self.fail()}"]

    def fail(self) -> str:
        """The statement that ends the function with NaN."""
        raise NotImplementedError

    def stored(self, store: ir.Store) -> str:
        """The value that a Store writes."""
        return bare(self.value(store.value))

    # What is the same in all.

    def value(self, expression: ir.Expression) -> str:
        """The text of an expression; infix ones are in parentheses."""
        if isinstance(expression, ir.Number):
            return self.literal(expression.type, expression.value)
        if isinstance(expression, ir.Variable):
            return self._names.get(expression.name, expression.name)
        if isinstance(expression, ir.Load):
            return self.load(expression)
        if isinstance(expression, ir.Cast):
            return self.cast(expression.value.type, expression.type, self.value(expression.value))
        if isinstance(expression, ir.Choice):
            parts = (expression.condition, expression.yes, expression.no)
            texts = [self.value(each) for each in parts]
            return self.TERNARY.format(*(map(bare, texts) if self.HAS_BARE_CHOICE else texts))
        operands = [self.value(each) for each in expression.operands]
        kind = expression.operands[0].type
        if expression.operator in ir.ARITHMETIC:
            return self.arithmetic(kind, expression.operator, operands)
        if expression.operator in ir.COMPARISONS:
            return self.compare(kind, expression.operator, operands)
        if expression.operator in ("and", "or", "not"):
            return self.logic(expression.operator, operands)
        return self.function(kind, expression.operator, operands)

    def function(self, kind: ir.Type, name: str, operands: Sequence[str]) -> str:
        """A function of one or two values; `FUNCTIONS` has templates by name, or by name and type."""
        template = self.FUNCTIONS.get(f"{name} {kind}") or self.FUNCTIONS[name]
        return template.format(*map(bare, operands)) if template[-1] == ")" else template.format(*operands)

    def use(self, helper: str) -> str:
        """Notes that the file needs a helper function; returns its name."""
        self._used.add(helper)
        return helper

    def helpers(self, text: str) -> list[str]:
        """The helper functions that the text calls, in the order of HELPERS."""
        needed: set[str] = set()
        waiting = [text]
        while waiting:
            read = waiting.pop()
            for name, source in self.HELPERS.items():
                if name not in needed and re.search(rf"(?<![\w.]){name}\(", read):
                    needed.add(name)
                    waiting.append(source)
        return [source for name, source in self.HELPERS.items() if name in needed]

    def place(self, index: ir.Index) -> str:
        """The text of a place in an array."""
        terms = [name if stride == 1 else f"{stride} * {name}" for name, stride in index.terms]
        parts = [str(index.base)] if index.base or not terms else []
        return " + ".join(parts + terms).replace("+ -", "- ")

    def element(self, array: str, index: ir.Index) -> str:
        """array[place]."""
        is_constant = array not in self._names and array not in SCRATCH.values()
        name = self.constant_name(array) if is_constant else self._names.get(array, array)
        return f"{name}[{self.place(index)}]"

    def statements(self, statements: Iterable[ir.Statement], depth: int) -> list[str]:
        """The lines of statements."""
        return [line for each in statements for line in self.statement(each, depth)]

    def statement(self, statement: ir.Statement, depth: int) -> list[str]:
        """The lines of a statement."""
        start = self.INDENT * depth
        if isinstance(statement, ir.For):
            return self.nested(statement, depth)
        if isinstance(statement, ir.Guard):
            return [start + line for line in self.guard(self.value(statement.condition))]
        if isinstance(statement, ir.Note):
            return [f"{start}{self.note(statement.text)}"]
        return [start + self.simple(statement)]

    def note(self, text: str) -> str:
        """A comment within the function."""
        return f"{self.COMMENT}{text}"

    def simple(self, statement: ir.Store | ir.Let | ir.Assign) -> str:
        """A statement without others in it."""
        if isinstance(statement, ir.Let):
            return self.let(statement, bare(self.value(statement.value)))
        if isinstance(statement, ir.Assign):
            return f"{statement.name} = {bare(self.value(statement.value))};"
        target, value = self.element(statement.array, statement.index), statement.value
        if (
            isinstance(value, ir.Apply)
            and (value.operator, value.type) == ("+", "f32")
            and value.operands[0] == ir.Load("f32", "f32", statement.array, statement.index)
        ):
            return f"{target} += {bare(self.value(value.operands[1]))};"
        return f"{target} = {self.stored(statement)};"

    def nested(self, statement: ir.For, depth: int) -> list[str]:
        """A loop; on one line, without braces, if it holds a short statement."""
        head, body = self.loop(statement.variable, statement.count), self.statements(statement.body, depth + 1)
        start = self.INDENT * depth
        if len(body) == 1 and len(body[0].strip()) + len(head) < WIDTH - 2 and self.is_short(body[0].strip()):
            return [f"{start}{self.one_line(head, body[0].strip())}"]
        return [f"{start}{head} {{", *body, f"{start}}}"]

    def is_short(self, body: str) -> bool:  # noqa: ARG002 - of a language
        """Whether a loop may hold the statement without braces."""
        return True

    def one_line(self, head: str, body: str) -> str:
        """A loop of one statement."""
        return f"{head} {body}"

    def numbers(self, constant: ir.Constant) -> list[str]:
        """The elements of a constant, comma-separated, in lines of at most WIDTH."""
        kind = "f32" if constant.storage == "f32" else "bool" if constant.storage == "bool" else "i32"
        texts = [self.table_number(kind, each.item()) for each in constant.values]  # type: ignore[arg-type]
        return wrapped(texts)

    def table_number(self, kind: ir.Type, value: float | int | bool) -> str:
        """A number in a table of constants."""
        return self.literal(kind, value)

    def about(self, call: str) -> list[str]:
        """The lines of the file's header."""
        return about(self.program, self.facts, call, self._names)

    def files(self) -> dict[str, str]:
        """The generated files: text by name."""
        raise NotImplementedError

    def idle_parameters(self, text: str) -> list[str]:
        """The parameters that the text of the function does not name."""
        names = self._names.values()
        return [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]

    @property
    def is_scalar(self) -> bool:
        """Whether the function returns one number."""
        return self.program.result_size == 1

    @property
    def result(self) -> str:
        """The output's element, as a value."""
        return bare(self.value(self.program.result))


def about(program: ir.Program, facts: Facts, call: str, names: dict[str, str]) -> list[str]:
    """The lines of a header: where the file comes from, how to call the function, and what it takes."""
    kinds = {"f32": "float32", "i32": "int32", "i64": "int64", "bool": "bool"}
    width = max((len(names[each.name]) for each in program.parameters), default=0)
    lines = [
        f"Generated by farebox export from {facts.origin}. Do not edit.",
        f"SHA-256 of the model: {facts.sha256}",
        "",
        f"    {call}",
        "",
        "Inputs, in this order:",
    ]
    for each in program.parameters:
        kind = kinds[each.type] if each.is_scalar else f"{kinds[each.type]} x {each.size}"
        lines.append(f"    {names[each.name]:<{width}}  {kind:<8}  {facts.meanings.get(each.column, '')}".rstrip())
    shape = "float32" if program.result_size == 1 else f"float32 x {program.result_size}"
    lines.append(f"Output: {shape} {facts.result}".rstrip())
    if any(each.type == "f32" for each in program.parameters):
        lines.append("A float input that is missing is NaN.")
    return lines


def wrapped(texts: Sequence[str], separator: str = ",") -> list[str]:
    """The texts, separated, in lines of at most WIDTH."""
    lines: list[str] = []
    line = ""
    for text in texts:
        if len(line) + len(text) + 1 > WIDTH:
            lines.append(line)
            line = ""
        line += f"{text}{separator}"
    return [*lines, line] if line else lines


def shortest(value: float) -> str:
    """The shortest decimal that a reader of float32, or of float64 rounded to it, turns into the same float32."""
    narrow = np.float32(value)
    text = np.format_float_scientific(narrow, trim="-", exp_digits=1)
    plain = np.format_float_positional(narrow, trim="0")
    chosen = plain if len(plain) <= len(text) + 1 or 1e-3 <= abs(value) < 1e7 else text
    return chosen if np.float32(float(chosen)) == narrow else repr(float(narrow))


def bare(text: str) -> str:
    """The text without the parentheses that enclose all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and place < len(text) - 1:
            return text
    return text[1:-1]


def commented(text: str) -> str:
    """The text as it can stand in a comment or a docstring of each language: on one line, and ending none."""
    line = " ".join(text.encode(errors="replace").decode().splitlines()).rstrip()
    return re.sub(r"\*(?=/)", "* ", line).replace("/*", "/ *").replace('"""', "'''").replace("\\", "/")
