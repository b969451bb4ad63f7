"""The list of all settings, read from the dataclasses: key, type, default, bounds and description of each."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import yaml

from farebox.components.errors import ValueForm, forms
from farebox.pipeline.settings.load import Settings

ARGUMENTS = ("data", "out")  # of load_settings; no file sets them
NAMES = {int: "integer", float: "number", str: "text", bool: "true or false", datetime.date: "day"}


@dataclasses.dataclass(frozen=True)
class SettingEntry:
    """One setting; `key` as in a city file, such as gates.max_rmse."""

    key: str
    type: str
    default: str
    bounds: str
    description: str


@dataclasses.dataclass(frozen=True)
class SettingsSection:
    """The settings of a section; `name` is empty for those outside of all sections. `summary`: a line per paragraph."""

    name: str
    summary: str
    entries: tuple[SettingEntry, ...]


def sections() -> list[SettingsSection]:
    """Returns the sections in the order of `Settings`, after the settings that belong to none."""
    listed, single = [], []
    for field in dataclasses.fields(Settings):
        form = forms(Settings)[field.name]
        if section := _section_class(form):
            listed.append(SettingsSection(field.name, _summary(section), tuple(_entries(section, field.name))))
        elif field.name not in ARGUMENTS:
            single.append(_entry(field.name, field, form, descriptions(Settings)[field.name]))
    return [SettingsSection("", "Settings outside of all sections.", tuple(single)), *listed]


def descriptions(settings: type) -> dict[str, str]:
    """Returns the text below each field in the source of a dataclass, by the field's name."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            texts[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return texts


def _entries(section: Any, prefix: str) -> Iterator[SettingEntry]:
    """The settings of a section; instead of a section inside it, that one's settings, if they have descriptions."""
    texts = descriptions(section)
    for field in dataclasses.fields(section):
        key, form = f"{prefix}.{field.name}", forms(section)[field.name]
        inner, is_mapping = _section_class(form), get_origin(form.types[0]) is dict
        is_listed = inner is not None and bool(descriptions(inner))
        if is_mapping or not is_listed:
            yield _entry(key, field, form, texts.get(field.name, ""))
        if is_listed:
            yield from _entries(inner, f"{key}.NAME" if is_mapping else key)


def _section_class(form: ValueForm) -> Any:
    """The dataclass that is, or is the value of each member of, a setting; None if there is none."""
    members = get_args(form.types[0]) if get_origin(form.types[0]) is dict else form.types
    return next((each for each in members if dataclasses.is_dataclass(each)), None)


def _summary(section: Any) -> str:
    """The docstring of a section, a line per paragraph."""
    return "\n".join(" ".join(part.split()) for part in (inspect.getdoc(section) or "").split("\n\n"))


def _entry(key: str, field: dataclasses.Field[Any], form: ValueForm, description: str) -> SettingEntry:
    is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    default = "required" if is_required else _yaml(_default(field))
    return SettingEntry(key, _type(form), default, _bounds(form), description)


def _default(field: dataclasses.Field[Any]) -> Any:
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def _yaml(value: Any) -> str:
    """A value as a city file has it."""
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _type(form: ValueForm) -> str:
    names = [*map(_type_name, form.types), *(["null"] if form.is_optional else [])]
    return " or ".join(names)


def _type_name(hint: Any) -> str:
    members = get_args(hint)
    if get_origin(hint) is dict:
        return f"mapping of names to {_plural(members[1])}"
    if get_origin(hint) is tuple:
        return f"list of {'' if members[-1] is Ellipsis else f'{len(members)} '}{_plural(members[0])}"
    if dataclasses.is_dataclass(hint):
        return "mapping of " + ", ".join(field.name for field in dataclasses.fields(hint))
    return NAMES.get(hint, "choice")


def _plural(hint: Any) -> str:
    """The type of the members of a list or mapping."""
    form = ValueForm.of(hint)
    names = {int: "integers", float: "numbers", str: "texts", datetime.date: "days"}
    words = [names.get(each, "mappings" if dataclasses.is_dataclass(each) else "choices") for each in form.types]
    return " or ".join([*words, *(["null"] if form.is_optional else [])])


def _bounds(form: ValueForm) -> str:
    """The choices or conditions of a setting, or of each of its members."""
    if form.choices or form.conditions:
        return ", ".join(form.choices) or " and ".join(map(str, form.conditions))
    members = [each for hint in form.types if get_origin(hint) in (dict, tuple) for each in get_args(hint)[-2:]]
    inner = next((text for each in members if each is not Ellipsis and (text := _bounds(ValueForm.of(each)))), "")
    return f"each: {inner}" if inner else ""
