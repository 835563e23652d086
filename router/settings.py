"""Settings of an installation: one TOML file, overridable by environment, validated before anything starts.

Environment variables are named ``LGSP_<SECTION>__<KEY>``, for instance ``LGSP_LEDGER__URL``. Secrets may stand in the
environment or in files (``…_file`` keys), so that the configuration itself holds none.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from router.errors import ConfigError
from router.events import ROUTER
from router.sdk.manifest import Maintenance

RECIPIENT_ID = r"^[a-z][a-z0-9-]{0,40}$"


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSection(Section):
    """How to reach Kafka."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    replication: Annotated[int, Field(ge=1)] = 3
    min_insync_replicas: Annotated[int, Field(ge=1)] = 2


class BusSection(Section):
    """``url`` is ``embedded`` or ``kafka://host:port[,host:port]``. ``partitions`` of every topic, fixed for ever."""

    url: Annotated[str, Field(pattern=r"^(embedded|kafka://[^/\s]+)$")] = "embedded"
    partitions: Annotated[int, Field(ge=1, le=1024)] = 6
    retention_days: Annotated[float, Field(gt=0)] = 14
    kafka: KafkaSection = KafkaSection()


class LedgerSection(Section):
    """``url`` is ``sqlite`` (a file in the data directory) or ``postgresql://user@host:port/database``."""

    url: Annotated[str, Field(pattern=r"^(sqlite|postgresql://\S+)$")] = "sqlite"
    password: SecretStr | None = None
    lease_seconds: Annotated[float, Field(ge=2)] = 15.0


class HttpSection(Section):
    """Where the service listens for webhooks, health and metrics."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    requests_in_flight: Annotated[int, Field(ge=1)] = 256
    source_rate: Annotated[float, Field(ge=0, description="requests per second and source; 0: no limit")] = 0


class RoutingSection(Section):
    """Files of routing rules (YAML) and of the agency registry; empty: those shipped with the package."""

    rules: Path | None = None
    agencies: Path | None = None


class IdentitySection(Section):
    """The key that hashes applicants' ids. Without one the owners of a code cannot be told apart."""

    key: SecretStr | None = None
    key_file: Path | None = None


class DeliverySection(Section):
    """How delivery works: ``grace`` seconds for running calls at a stop."""

    grace: Annotated[float, Field(ge=0)] = 20.0


class ProceduresSection(Section):
    """Interconnected procedures. ``definitions`` is a folder of further ones; ``overrides`` a file of the
    jurisdiction's days off and make-up days; ``pauses`` says how a pause moves a due date there.
    """

    enabled: bool = False
    definitions: Path | None = None
    jurisdiction: str = "vn"
    overrides: Path | None = None
    pauses: Literal["working", "calendar"] = "working"


class OperationSection(Section):
    """What an installation sets for one operation of a recipient; the rest is as the connector's manifest says."""

    timeout: Annotated[float | None, Field(gt=0, description="seconds")] = None
    retry: dict[str, Any] = Field(default_factory=dict)


class RecipientSection(Section):
    """A recipient: which connector, how much of it at once, and the connector's own settings.

    ``retry`` changes keys of the manifest's retry policy for all operations, ``operations.<name>`` those of one;
    ``hours`` replaces the manifest's office hours (``{}``: always open), ``maintenance`` adds windows.
    """

    connector: str
    concurrency: Annotated[int | None, Field(ge=1, le=1000)] = None
    rate: Annotated[float | None, Field(ge=0)] = None
    timeout: Annotated[float | None, Field(gt=0, description="seconds; cuts every call of this recipient off")] = None
    wait_window: Annotated[float | None, Field(gt=0, description="seconds an event may wait for its dossier")] = None
    retry: dict[str, Any] = Field(default_factory=dict)
    operations: dict[str, OperationSection] = Field(default_factory=dict)
    hours: dict[str, Any] | None = None
    maintenance: tuple[Maintenance, ...] = ()
    config: dict[str, Any] = Field(default_factory=dict, repr=False)


class Settings(BaseSettings):
    """The whole installation. All processes share it but for ``roles`` and ``instance``: a process that comes back
    under its name within the session time-out gets its partitions of the hop back without a rebalance.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="LGSP_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data: Path = Path("data")
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = (
        ""  # stable name of this process, for rebalances
    )
    roles: tuple[Literal["ingress", "router", "delivery"], ...] = ("ingress", "router", "delivery")
    bus: BusSection = BusSection()
    ledger: LedgerSection = LedgerSection()
    http: HttpSection = HttpSection()
    routing: RoutingSection = RoutingSection()
    identity: IdentitySection = IdentitySection()
    delivery: DeliverySection = DeliverySection()
    procedures: ProceduresSection = ProceduresSection()
    recipients: dict[Annotated[str, Field(pattern=RECIPIENT_ID)], RecipientSection] = Field(default_factory=dict)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    reserved: ClassVar[frozenset[str]] = frozenset({ROUTER, "procedures"})

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        for recipient in self.recipients:
            if recipient in self.reserved:
                raise ValueError(f"recipients.{recipient}: the name is the router's own")
        if self.embedded != (self.ledger.url == "sqlite"):
            raise ValueError("bus.url and ledger.url: either embedded with sqlite, or Kafka with PostgreSQL")
        return self

    @property
    def embedded(self) -> bool:
        """Whether everything is in one data directory and one process."""
        return self.bus.url == "embedded"

    @property
    def ledger_url(self) -> str:
        """The ledger's address as the adapters take it, without the password."""
        if self.ledger.url == "sqlite":
            return f"sqlite:///{self.data / 'ledger.db'}"
        return self.ledger.url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return env_settings, init_settings


def load_settings(path: Path | None) -> Settings:
    """Read and validate a configuration file (None: all defaults). Raises ``ConfigError`` with file, key and form."""
    name = str(path) if path else "environment"
    try:
        values = tomllib.loads(path.read_text("utf-8")) if path else {}
    except OSError as error:
        raise ConfigError(error.strerror or "cannot be read", file=name, expected="a readable TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(error), file=name, expected="TOML in UTF-8") from error
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise config_error(error, name) from None
    if path is not None and not settings.data.is_absolute():
        settings = settings.model_copy(update={"data": path.parent / settings.data})
    return settings


def config_error(error: ValidationError, file: str, prefix: str = "") -> ConfigError:
    """The first problem of a validation as file, key and expected form; never the value, which may be a secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(part for part in (prefix, *map(str, first["loc"])) if part)
    expected = str((first.get("ctx") or {}).get("pattern") or (first.get("ctx") or {}).get("expected") or "")
    return ConfigError(first["msg"], file=file, key=key, expected=expected)
