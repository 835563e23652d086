"""Reading an installation's settings: the file, then the environment; a refusal says where and what would do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from router.environment import variables
from router.errors import ConfigError
from router.refusals import KINDS, VALUES, Words, refused, unfit, words_of
from router.sdk.configured import SUFFIX, secret_keys
from router.settings import Settings
from router.text_file import text_of

#: Settings that are paths. What else is one ends with ``_file``.
PATHS: Final = (("data",), ("routing", "rules"), ("routing", "agencies"), ("procedures", "definitions"),
                ("procedures", "overrides"), ("schemas", "ids"))  # fmt: skip


def load_settings(path: Path | None) -> Settings:
    """Read and validate a configuration file (None: all defaults) and the environment. Paths in the file are relative
    to it. Raises ``ConfigError`` with the file or the variable, the key and the expected form.
    """
    name = str(path) if path else "environment"
    try:
        values = tomllib.loads(text_of(path, "TOML")) if path else {}
    except tomllib.TOMLDecodeError as error:
        form = "TOML in UTF-8", "TOML mã hóa UTF-8"
        raise refused("no_syntax", file=name, kind="TOML", found=str(error), form=form[0], form_vi=form[1]) from error
    for key, variable in variables().items():
        first = key.partition(".")[0]
        if first not in Settings.model_fields:
            raise refused("no_setting", file=variable, form=_nearest(first, Settings))
    if path is not None:
        values.setdefault("data", "data")
        values = _anchored(values, path.parent)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise config_error(error, name, Settings) from None


def config_error(error: ValidationError, file: str, model: type[BaseModel], prefix: str = "") -> ConfigError:
    """The first problem of a validation as file (or variable), key and expected form; never the value, which may be a
    secret.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    place = [str(part) for part in first["loc"] if part != "[key]"]
    context = first.get("ctx") or {}
    key = ".".join(part for part in (prefix, *place, str(context.get("key", ""))) if part)
    words = _told(first, model, place)
    where = _variable(key) or file
    return unfit(words, file=where, key=key)


def _told(first: ErrorDetails, model: type[BaseModel], place: Sequence[str]) -> Words:
    """Problem and expected form."""
    context, kind = first.get("ctx") or {}, first["type"]
    if kind in ("at", "value_error"):
        problem, form = str(context.get("problem") or context["error"]), str(context.get("expected", ""))
        return Words(problem, "giá trị không dùng được", form, form)
    if first["loc"][-1:] == ("[key]",):
        form = _form_of_names(list(_fields(model, place))[-1])
        return Words("the name has the wrong form", "tên sai dạng", form, form)
    words, trail = words_of(first), list(_fields(model, place))
    field = trail[-1] if trail else None
    if kind == "extra_forbidden":
        form = _nearest(place[-1], _owner(model, place))
        return words._replace(form=form, form_vi=form)
    if described := (field.description if field is not None else "") or "":
        return words._replace(form=described, form_vi=described)
    return words if words.form or kind not in VALUES else words._replace(form=_form(field))


def _variable(key: str) -> str:
    """The variable that set a key, or the nearest key above it."""
    set_here, parts = variables(), key.split(".")
    return next((set_here[k] for n in range(len(parts), 0, -1) if (k := ".".join(parts[:n])) in set_here), "")


def _nearest(key: str, model: type[BaseModel] | None) -> str:
    if model is None:
        return ""
    known = [*model.model_fields, *(name + SUFFIX for name in secret_keys(model))]
    close = get_close_matches(key, known, n=1)
    return close[0] if close else f"one of {', '.join(sorted(known))}"


def _form(field: FieldInfo | None) -> str:
    """The kind of value of a field that is missing."""
    if field is None:
        return ""
    name = getattr(field.annotation, "__name__", "")
    known = {"str": KINDS["string"][0], "SecretStr": "a secret, or its file as …_file"}
    return known.get(name) or KINDS.get(name, KINDS["model"])[0]


def _form_of_names(field: FieldInfo) -> str:
    """The form of the names of a table."""
    metadata = getattr(get_args(field.annotation)[0], "__metadata__", ())
    return next((one.description for one in metadata if isinstance(one, FieldInfo) and one.description), "text")


def _owner(model: type[BaseModel], place: Sequence[str]) -> type[BaseModel] | None:
    """The model that has the last part of a place."""
    owner: Any = model
    for field in list(_fields(model, place[:-1])):
        owner = field.annotation
    return _model(owner)


def _fields(model: type[BaseModel], place: Sequence[str]) -> Iterator[FieldInfo]:
    """The fields on the way to a place, as far as models describe it."""
    current: Any = model
    for part in place:
        inner = _model(current)
        if inner is not None and part in inner.model_fields:
            field = inner.model_fields[part]
            yield field
            current = field.annotation
        elif inner is None:
            current = _element(current)


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model of an annotation, also where it may be None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (dict, tuple, list):
        return None
    return next((found for one in get_args(annotation) if (found := _model(one)) is not None), None)


def _element(annotation: Any) -> Any:
    """What a table, list or tuple holds."""
    inner = [one for one in get_args(annotation) if one not in (NoneType, Ellipsis)]
    return inner[-1] if inner else annotation


def _anchored(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The values of a file with the paths in it made relative to its folder."""
    made = dict(_files(values, folder))
    for section, *key in PATHS:
        if not key and isinstance(made.get(section), str):
            made[section] = str(folder / made[section])
        elif isinstance(made.get(section), dict) and isinstance(made[section].get(key[0]), str):
            made[section][key[0]] = str(folder / made[section][key[0]])
    return made


def _files(values: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield key, dict(_files(value, folder))
        else:
            yield key, str(folder / value) if key.endswith(SUFFIX) and isinstance(value, str) else value
