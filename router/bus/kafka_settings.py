"""How to reach a Kafka cluster, and what follows from it for each of the client's parts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

#: Bytes of one produced batch: above a value of 256 KiB with its headers, below the broker's default of 1 MiB.
BATCH_BYTES: Final = 524_288


class KafkaSettings(BaseModel):
    """Connection, security and fetch tuning. Times in milliseconds, sizes in bytes.

    ``fetch_min_bytes`` with ``fetch_max_wait_ms`` is the fetch window: the broker answers once so much has come or so
    long has passed. With the client's default of one byte a quiet log is read record by record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: str = Field(min_length=1)
    client_id: str = "lgsp-router"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    user: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    request_timeout_ms: int = Field(default=15_000, gt=0)
    session_timeout_ms: int = Field(default=10_000, gt=0)
    heartbeat_interval_ms: int = Field(default=1_000, gt=0)
    fetch_min_bytes: int = Field(default=16_384, gt=0)
    fetch_max_wait_ms: int = Field(default=5, gt=0)
    fetch_partition_bytes: int = Field(default=1_048_576, ge=BATCH_BYTES)

    @model_validator(mode="after")
    def _whole(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL") and not (self.user and self.password.get_secret_value()):
            raise ValueError(f"{self.security_protocol} needs user and password")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self

    def connection(self) -> dict[str, Any]:
        """Arguments common to consumer, producer and admin client; reads the certificate files."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            if self.cert_file is not None:
                context.load_cert_chain(str(self.cert_file), None if self.key_file is None else str(self.key_file))
            arguments["ssl_context"] = context
        if self.security_protocol.startswith("SASL"):
            arguments["sasl_mechanism"] = self.sasl_mechanism
            arguments["sasl_plain_username"] = self.user
            arguments["sasl_plain_password"] = self.password.get_secret_value()
        return arguments

    def consumer(self) -> dict[str, Any]:
        """Arguments of every consumer: nothing is committed unasked."""
        return self.connection() | {
            "enable_auto_commit": False,
            "session_timeout_ms": self.session_timeout_ms,
            "heartbeat_interval_ms": self.heartbeat_interval_ms,
            "fetch_min_bytes": self.fetch_min_bytes,
            "fetch_max_wait_ms": self.fetch_max_wait_ms,
            "max_partition_fetch_bytes": self.fetch_partition_bytes,
        }

    def producer(self) -> dict[str, Any]:
        """Arguments of a producer: idempotent, all replicas, no compression (it doubles the hop's CPU), no linger."""
        return self.connection() | {
            "enable_idempotence": True,
            "acks": "all",
            "linger_ms": 0,
            "compression_type": None,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": 8 * BATCH_BYTES,
        }
