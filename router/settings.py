"""Settings of an installation: one TOML file, overridable by environment, validated before anything starts.

Environment variables are named ``LGSP_<SECTION>__<KEY>``, for instance ``LGSP_LEDGER__URL``; a dash in a recipient's id
is written ``_``. Every secret may stand in the environment or in a file (its key with ``_file`` behind it), so that the
configuration itself holds none. ``router.configuration`` reads the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from router.environment import Environment
from router.events import ROUTER
from router.sdk.configured import Configured as Section
from router.sdk.configured import Credential, Secret, at, tls_context
from router.sdk.manifest import Maintenance

RecipientId = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$", description="a-z, 0-9 and -, beginning with a letter, at most 41")
]


class KafkaSection(Section):
    """How to reach Kafka. A process with an ``instance`` may be away for ``session_seconds`` before its partitions of
    the hop go to others.
    """

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: Credential | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    replication: Annotated[int, Field(ge=1)] = 3
    min_insync_replicas: Annotated[int, Field(ge=1)] = 2
    session_seconds: Annotated[float, Field(ge=6, le=1800)] = 10.0

    @model_validator(mode="after")
    def _can_connect(self) -> Self:
        if self.security_protocol.startswith("SASL"):
            for key in ("sasl_username", "sasl_password"):
                if not getattr(self, key):
                    raise at(key, f"is missing; {self.security_protocol} needs it", "what the broker's owner gave you")
        if self.security_protocol.endswith("SSL"):
            tls_context(self.ca_file, self.cert_file, self.key_file)
        elif self.ca_file or self.cert_file or self.key_file:
            raise at("security_protocol", f"{self.security_protocol} uses no certificates", "SSL or SASL_SSL")
        return self


class BusSection(Section):
    """``url`` is ``embedded`` or ``kafka://host:port[,host:port]``. ``partitions`` of every topic, fixed for ever."""

    url: Annotated[
        str, Field(pattern=r"^(embedded|kafka://[^/@\s]+)$", description="embedded, or kafka://host:port[,host:port]")
    ] = "embedded"
    partitions: Annotated[int, Field(ge=1, le=1024)] = 6
    retention_days: Annotated[float, Field(gt=0)] = 14
    kafka: KafkaSection = KafkaSection()


class LedgerSection(Section):
    """``url`` is ``sqlite`` (a file in the data directory) or ``postgresql://user@host:port/database``. Repetitions are
    recognised for ``recognition_days``: at least as long as the bus may bring an event again.
    """

    url: Annotated[
        str,
        Field(pattern=r"^(sqlite|postgresql://\S+)$", description="sqlite, or postgresql://user@host:port/database"),
    ] = "sqlite"
    password: Credential | None = None
    lease_seconds: Annotated[float, Field(ge=2)] = 15.0
    recognition_days: Annotated[float, Field(gt=0)] = 90.0

    @field_validator("url")
    @classmethod
    def _holds_no_password(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            raise at("", "is not a URL", "postgresql://user@host:port/database") from None
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise at("", "holds a password", "it in ledger.password, ledger.password_file or LGSP_LEDGER__PASSWORD")
        return url


class HttpSection(Section):
    """Where the service listens for webhooks, health and metrics. With ``metrics_port`` metrics are there alone, out of
    the partners' sight.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int | None, Field(ge=0, le=65535)] = None
    requests_in_flight: Annotated[int, Field(ge=1)] = 256
    source_rate: Annotated[float, Field(ge=0, description="requests per second and source; 0: no limit")] = 200.0


class RoutingSection(Section):
    """Files of routing rules (YAML) and of the agency registry; empty: those shipped with the package."""

    rules: Path | None = None
    agencies: Path | None = None


#: A code of either grammar or an irregular one; edXML gives it 35 characters.
OrganCode = Annotated[
    str,
    Field(
        pattern=r"^[A-Z0-9]{2,9}(\.[A-Z0-9]{1,9})*$",
        max_length=35,
        description="an agency code such as H39.30 or 000.30.00.H39, A-Z, 0-9 and dots, at most 35",
    ),
]


class IdentitySection(Section):
    """The key that hashes applicants' ids, the same for all processes and for ever. The embedded runtime makes one in
    its data directory; without one the owners of a code cannot be told apart.

    ``organs`` are the installation's own codes: a document whose trace header names one has been here and is dropped.
    The first of them is written into the trace headers of documents that go out.
    """

    key: Secret | None = None
    key_file: Path | None = None
    organs: tuple[OrganCode, ...] = ()


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


class SchemasSection(Section):
    """``ids`` is a file with the ids that a schema registry gave to our schemas: what it names is written in Confluent
    framing. Payloads in single-object encoding need none.
    """

    ids: Path | None = None


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
    inbound_rate: Annotated[float | None, Field(ge=0, description="requests per second it may make; 0: no limit")] = (
        None  # as http.source_rate says
    )
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
    instance: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$", description="at most 100 of A-Z a-z 0-9 . _ -")
    ] = ""  # stable name of this process, for rebalances
    roles: tuple[Literal["ingress", "router", "delivery"], ...] = ("ingress", "router", "delivery")
    bus: BusSection = BusSection()
    ledger: LedgerSection = LedgerSection()
    http: HttpSection = HttpSection()
    routing: RoutingSection = RoutingSection()
    identity: IdentitySection = IdentitySection()
    delivery: DeliverySection = DeliverySection()
    procedures: ProceduresSection = ProceduresSection()
    schemas: SchemasSection = SchemasSection()
    recipients: dict[RecipientId, RecipientSection] = Field(default_factory=dict)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    reserved: ClassVar[frozenset[str]] = frozenset({ROUTER, "procedures"})

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        for recipient in self.recipients:
            if recipient in self.reserved:
                raise at(f"recipients.{recipient}", "the name is the router's own", "another name")
        if self.embedded != (self.ledger.url == "sqlite"):
            raise at("ledger.url", "does not go with bus.url", "either embedded with sqlite, or Kafka with PostgreSQL")
        if self.ledger.recognition_days < self.bus.retention_days:
            expected = f"at least bus.retention_days ({self.bus.retention_days:g}), how long the bus holds events"
            raise at(
                "ledger.recognition_days", "is too short: what is published again would take effect twice", expected
            )
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
        return Environment(settings_cls), init_settings
