"""What configurations share: secrets in values or files, certificates that can be used, errors at their keys."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, model_validator
from pydantic_core import PydanticCustomError

SHORTEST: Final = 8  # characters of a secret that lets somebody in here
PLACEHOLDER: Final = "change-me"
SUFFIX: Final = "_file"


def at(key: str, problem: str, expected: str = "") -> PydanticCustomError:
    """What a validator of a whole section raises about one of its keys."""
    return PydanticCustomError("at", "{problem}", {"key": key, "problem": problem, "expected": expected})


def tls_context(ca_file: object, cert_file: object, key_file: object) -> ssl.SSLContext:
    """A client's TLS from PEM files; without ``ca_file`` the system's authorities are trusted. Raises, as ``at``, for
    the first file that cannot be used.
    """
    if (cert_file is None) != (key_file is None):
        missing, there = ("key_file", "cert_file") if key_file is None else ("cert_file", "key_file")
        raise at(missing, f"{there} is given without it", "both, or neither")
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise at("ca_file", _unusable(ca_file, error), "a PEM file of certificates") from None
    if cert_file is not None:
        try:
            context.load_cert_chain(str(cert_file), str(key_file))
        except OSError as error:
            named = "key_file" if Path(str(cert_file)).is_file() else "cert_file"
            raise at(
                named, _unusable(f"{cert_file} with {key_file}", error), "PEM files that belong together"
            ) from None
    return context


def _unusable(file: object, error: OSError) -> str:
    return (
        f"{file} cannot be used: {'not a PEM file of that kind' if isinstance(error, ssl.SSLError) else error.strerror}"
    )


class SecretFile(NamedTuple):
    """A secret that stands in a file."""

    path: str


def _known(value: Any) -> Any:
    """The secret itself. Its errors never quote it."""
    if isinstance(value, SecretFile):
        try:
            value = Path(value.path).read_text("utf-8").strip()
        except OSError as error:
            raise ValueError(f"the file {value.path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"the file {value.path} is not text in UTF-8") from None
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and text.startswith(PLACEHOLDER):
        raise ValueError("still the secret of the example")
    return value


def _given(value: Any) -> Any:
    return _at_least(_known(value), 1)


def _long(value: Any) -> Any:
    return _at_least(_known(value), SHORTEST)


def _at_least(value: Any, characters: int) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and len(text.strip()) < characters:
        raise ValueError("empty" if not text.strip() else f"shorter than {characters} characters")
    return value


#: What lets a partner in here, or what we choose: at least 8 characters.
Secret = Annotated[SecretStr, BeforeValidator(_long)]
#: What a partner gave us to log in with: whatever it is, but not empty.
Credential = Annotated[SecretStr, BeforeValidator(_given)]


class Configured(BaseModel):
    """A part of a configuration: frozen, unknown keys refused. Every secret ``x`` may stand in a file instead, whose
    path is given as ``x_file``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        made = dict(values)
        for name in secret_keys(cls):
            path = made.pop(name + SUFFIX, None)
            if path is None:
                continue
            if made.get(name) is not None:
                raise at(name, f"{name} and {name}{SUFFIX} are both given", "one of them")
            made[name] = SecretFile(str(path))
        return made


def secret_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a model that are secrets and may have a ``…_file`` form."""
    return [
        name
        for name, field in model.model_fields.items()
        if "SecretStr" in str(field.annotation) and name + SUFFIX not in model.model_fields
    ]
