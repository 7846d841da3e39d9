"""The settings of a node: one TOML file, each key overridable from the environment.

``DICOMNODE__NODE__PORT=11113`` overrides ``port`` in ``[node]``; a list such as
``[[destination]]`` is overridden as a whole, by JSON. A key that is not known here is an error.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, from_json
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from dicomnode.deliver.table import TRANSPORTS, AnyDestination
from dicomnode.dicom.results.geometry import Geometry
from dicomnode.errors import SettingsError
from dicomnode.jobs.options import DeliveryOptions, SettleOptions
from dicomnode.log import LogOptions
from dicomnode.network.names import AeTitle, Host, Port
from dicomnode.recipe import Recipe
from dicomnode.store.url import expect_kept, sqlite_url
from dicomnode.web.options import WebOptions

__all__ = [
    "AcceptOptions",
    "DatabaseOptions",
    "ModelOptions",
    "NodeOptions",
    "OutputOptions",
    "RetentionOptions",
    "Settings",
    "TlsOptions",
    "default_models_dir",
    "load_settings",
]

_ENV_PREFIX = "DICOMNODE__"


class NodeOptions(BaseModel, frozen=True, extra="forbid"):
    """The node as its peers see it, and what it may use of its machine."""

    ae_title: AeTitle = "CEUSNODE"
    host: Host = "127.0.0.1"
    port: Port = 11112
    data_dir: Path
    workers: int = Field(default=2, ge=1, le=256)
    """Exams that are analysed at the same time, each in a process of its own."""
    worker_memory_gib: float | None = Field(default=None, gt=0)
    """What each may take; without it, three quarters of the machine's memory are shared out."""
    analysis_timeout_s: float = Field(default=1800.0, gt=0)
    drain_s: float = Field(default=20.0, ge=0)
    """How long a stop waits for associations and jobs; what is left goes on at the next start."""
    max_associations: int = Field(default=20, ge=1)
    max_associations_per_host: int = Field(default=10, ge=1)


class AcceptOptions(BaseModel, frozen=True, extra="forbid"):
    """Who may send to this node."""

    ae_title: AeTitle
    hosts: tuple[Host, ...] = Field(min_length=1)


class OutputOptions(BaseModel, frozen=True, extra="forbid"):
    """How results are written, for every destination."""

    seg_geometry: Geometry = "orientation"


class DatabaseOptions(BaseModel, frozen=True, extra="forbid"):
    """Where the ledger is kept. Without a URL: an SQLite file in the data directory."""

    url: str | None = Field(default=None, pattern=r"^(sqlite:///|postgresql\+psycopg://).+")

    @field_validator("url")
    @classmethod
    def _on_a_disk(cls, url: str | None) -> str | None:
        if url is not None:
            expect_kept(url)
        return url


class TlsOptions(BaseModel, frozen=True, extra="forbid"):
    """Certificates for receiving and sending; both sides must show one."""

    receive: bool = False
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> "TlsOptions":
        if self.receive and None in (self.certificate, self.key, self.ca):
            raise ValueError("certificate, key and ca are needed when receive is true")
        return self


def default_models_dir() -> Path:
    """Say where a checkout keeps the bundles that come with it."""
    return Path(__file__).resolve().parent.parent / "models"


class ModelOptions(BaseModel, frozen=True, extra="forbid"):
    """Where the model bundles are."""

    directory: Path = Field(default_factory=default_models_dir)


class RetentionOptions(BaseModel, frozen=True, extra="forbid"):
    """How long files stay, and how much disk must stay free."""

    days: float = Field(default=0.0, ge=0)
    """Delivered exams lose their files after so many days; 0 keeps them."""
    min_free_gib: float = Field(default=5.0, ge=0)
    """Below this nothing is accepted, and the sender is told so."""


def _known_keys_only(value: Any) -> Any:
    """Refuse keys that :class:`Recipe`, a plain dataclass, would drop without a word.

    A table that comes from the environment is JSON.
    """
    if not isinstance(value, Mapping):
        return value
    names = [field.name for field in fields(Recipe)]
    for key in value:
        if key not in names:
            raise ValueError(f"unknown key {key!r}{_suggestion(key, names)}")
    table = value.get("dynamic_range_by_model")
    if isinstance(table, str):
        return {**value, "dynamic_range_by_model": from_json(table)}
    return value


class Settings(BaseSettings):
    """Everything a site can choose."""

    model_config = SettingsConfigDict(
        env_prefix=_ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    node: NodeOptions
    accept: tuple[AcceptOptions, ...] = ()
    destination: tuple[AnyDestination, ...] = ()
    outputs: OutputOptions = OutputOptions()
    settle: SettleOptions = SettleOptions()
    delivery: DeliveryOptions = DeliveryOptions()
    database: DatabaseOptions = DatabaseOptions()
    web: WebOptions = WebOptions()
    tls: TlsOptions = TlsOptions()
    models: ModelOptions = ModelOptions()
    recipe: Annotated[Recipe, BeforeValidator(_known_keys_only)] = Recipe()
    retention: RetentionOptions = RetentionOptions()
    log: LogOptions = LogOptions()

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        names = [destination.name for destination in self.destination]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"destination: each name once, found twice: {', '.join(twice)}")
        if self.tls.ca is None and any(destination.speaks_tls for destination in self.destination):
            raise ValueError("tls: ca is needed when a destination has tls = true")
        return self

    @classmethod
    def settings_customise_sources(  # the parameters are pydantic-settings'
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings

    @property
    def ledger_url(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.database.url or sqlite_url(self.node.data_dir / "ledger.sqlite")


def load_settings(path: Path) -> Settings:
    """Read a settings file and the environment.

    Raises
    ------
    SettingsError
        Names every key that is wrong, what was expected there and what was found.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"expected a settings file at {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"expected TOML in {path}: {error}") from error
    _expect_known_environment(os.environ)
    try:
        return Settings(**content)
    except ValidationError as error:
        lines = "\n".join(f"  {_words(detail)}" for detail in error.errors())
        raise SettingsError(f"{path} cannot be used:\n{lines}") from error
    except SourceError as error:
        raise SettingsError(f"the environment cannot be used: {error}") from error


def _expect_known_environment(environment: Mapping[str, str]) -> None:
    """Refuse DICOMNODE__ variables that name no section: they would be ignored in silence."""
    known = list(Settings.model_fields)
    for name in environment:
        if not name.upper().startswith(_ENV_PREFIX):
            continue
        section = name[len(_ENV_PREFIX) :].split("__")[0].lower()
        if section not in known:
            raise SettingsError(
                f"environment variable {name}: unknown section {section!r}"
                f"{_suggestion(section, known)}"
            )


def _words(detail: ErrorDetails) -> str:
    """Say where, what was expected and what was found."""
    location = [part for part in detail["loc"] if part not in TRANSPORTS]
    where = ".".join(map(str, location))
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key{_suggestion(str(location[-1]), _siblings(detail['loc']))}"
    if detail["type"] == "unknown_transport":
        found = detail["input"]["transport"]
        return f"{where}.transport: expected one of {', '.join(TRANSPORTS)}, found {found!r}"
    if detail["type"] == "missing":
        return f"{where}: expected a value, found none"
    if detail["type"] == "value_error":
        return f"{where}: {detail['ctx']['error']}" if where else str(detail["ctx"]["error"])
    expected = detail["msg"][0].lower() + detail["msg"][1:]
    if where == "database.url":  # what was found may hold a password
        return f"{where}: {expected}"
    return f"{where}: {expected}, found {detail['input']!r}"


def _siblings(location: Sequence[int | str]) -> list[str]:
    """List the keys that are known where an unknown one was found."""
    if len(location) == 1:
        return list(Settings.model_fields)
    for part in location:
        if part in TRANSPORTS:
            return list(TRANSPORTS[str(part)].options.model_fields)
    field = Settings.model_fields.get(str(location[0]))
    candidates = getattr(field, "annotation", None)
    model = next(iter(getattr(candidates, "__args__", ())), candidates)
    return list(getattr(model, "model_fields", {}))


def _suggestion(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
