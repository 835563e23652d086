"""The manifest: what a connector can do, how often, when, and what its partner's codes mean. Data in TOML."""

from __future__ import annotations

import tomllib
from datetime import datetime, time, timedelta
from enum import StrEnum
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from router.refusals import refused, unfit, words_of
from router.sdk.dates import VIETNAM
from router.sdk.outcomes import Outcome
from router.text_file import unreadable


class Idempotency(StrEnum):
    """How an operation is made to take effect once."""

    NATURAL_KEY = "natural_key"  # sending again has no second effect: blind resend is safe
    CHECKED = "checked"  # ask the partner (``check``) before sending again
    NONE = "none"  # never resend without a person


Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEVER: Final = "none"  # TOML has no null
PAYMENTS: Final = "payment."


def _or_never(value: Any) -> Any:
    return None if value == NEVER else value


class Strict(BaseModel):
    """Frozen, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Retry(Strict):
    """How failures of an operation are repeated. Delays in seconds; ``budget`` counts attempts.

    ``budget`` and ``maximal_age`` (seconds) end in a dead letter; ``"none"`` where only a person may give an event up.
    """

    in_place: Annotated[int, Field(ge=1, le=5, description="tries inside one attempt")] = 2
    first_delay: Annotated[float, Field(gt=0)] = 5.0
    factor: Annotated[float, Field(ge=1)] = 2.0
    longest_delay: Annotated[float, Field(gt=0)] = 3600.0
    budget: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_or_never)] = 8
    unclassified_budget: Annotated[int, Field(ge=1)] = 3
    maximal_age: Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(_or_never)] = 5 * 86_400.0


class Operation(Strict):
    """One thing the partner can be asked to do, for the event types it serves."""

    name: str
    events: tuple[str, ...]
    idempotency: Idempotency
    timeout: Annotated[float, Field(gt=0, description="seconds; a call is cut off after it")] = 60.0
    retry: Retry | None = None

    @property
    def moves_money(self) -> bool:
        """Whether it carries payments: those never expire without a person."""
        return any(event.startswith(PAYMENTS) for event in self.events)


class Limits(Strict):
    """What the partner bears: calls at once, and calls per second (0: no limit)."""

    concurrency: Annotated[int, Field(ge=1)] = 4
    urgent_reserved: Annotated[int, Field(ge=0)] = 1
    rate: Annotated[float, Field(ge=0)] = 0.0


class Hours(Strict):
    """When the partner takes calls, local time of Asia/Ho_Chi_Minh. No ranges: always."""

    days: tuple[Day, ...] = DAYS[:5]
    ranges: tuple[tuple[time, time], ...] = ()
    urgent_always: bool = True


class Maintenance(Strict):
    """A window in which nobody is called, urgent or not: once, from ``start`` until ``end``, or every week.

    Once: both are instants with an offset. Weekly: ``day`` is given and both are local times of Asia/Ho_Chi_Minh; a
    window whose ``end`` is not after its ``start`` ends on the next day.
    """

    start: AwareDatetime | time
    end: AwareDatetime | time
    why: str
    day: Day | None = None

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Maintenance:
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            if self.day is not None:
                raise ValueError("day goes with times, not with instants")
            if self.end <= self.start:
                raise ValueError("end is not after start")
        elif isinstance(self.start, datetime) or isinstance(self.end, datetime):
            raise ValueError("start and end are two instants or two times")  # noqa: TRY004 (for pydantic)
        elif self.day is None:
            raise ValueError("times need a day")
        return self

    def until(self, at: datetime) -> datetime | None:
        """The end (aware) of the window that ``at`` (aware) lies in; None outside."""
        start, end = self.start, self.end
        if isinstance(start, time) and isinstance(end, time):
            local = at.astimezone(VIETNAM)
            since = (local.weekday() - DAYS.index(self.day or "mon")) % len(DAYS)
            day = local.date() - timedelta(days=since)
            next_day = timedelta(days=int(end <= start))
            start, end = datetime.combine(day, start, VIETNAM), datetime.combine(day + next_day, end, VIETNAM)
        if isinstance(start, datetime) and isinstance(end, datetime) and start <= at < end:
            return end
        return None


class Inbound(Strict):
    """How inbound messages are taken. ``repeat_window`` and ``wait_window`` in seconds."""

    max_bytes: Annotated[int, Field(gt=0)] = 1_048_576
    repeat_window: float = 3600.0  # same content again inside it is a repetition, where the partner gives no ids
    wait_window: float = 86_400.0  # how long an event may wait for its dossier to become known


class ErrorRow(Strict):
    """A row of the error map: fits when every given part fits. ``text`` is looked for in the message, case folded;
    ``source`` says how it is known that the partner means this: where it was seen, or that it is assumed.
    """

    outcome: Outcome
    reason: str
    operation: str | None = None
    code: str | None = None
    http: int | None = None
    text: str | None = None
    seconds: float | None = None  # for throttled and closed
    vi: str = ""
    en: str = ""
    source: str = ""

    @model_validator(mode="after")
    def _names_something(self) -> ErrorRow:
        if self.code is None and self.http is None and self.text is None:
            raise ValueError("a row needs code, http or text")
        return self

    def fits(self, operation: str, code: str, http: int | None, message: str) -> bool:
        """Whether an answer is of this row."""
        return (
            self.operation in (None, operation)
            and self.code in (None, code)
            and self.http in (None, http)
            and (self.text is None or self.text.casefold() in message.casefold())
        )


class Manifest(Strict):
    """A connector's manifest. ``errors`` is read from the top; the first row that fits wins."""

    name: str
    version: str
    partner: str
    role: Literal["one_stop", "land_registry", "tax", "portal", "document", "payment", "notification", "other"]
    operations: tuple[Operation, ...] = ()
    emits: tuple[str, ...] = ()  # event types that its inbound side produces
    limits: Limits = Limits()
    hours: Hours = Hours()
    maintenance: tuple[Maintenance, ...] = ()
    retry: Retry = Retry()
    inbound: Inbound = Inbound()
    errors: tuple[ErrorRow, ...] = ()

    @model_validator(mode="after")
    def _keeps_payments(self) -> Manifest:
        for operation in self.operations:
            if operation.moves_money and self.retry_of(operation).maximal_age is not None:
                raise ValueError(f'{operation.name} carries payments, which never expire: its maximal_age is "{NEVER}"')
        return self

    def operation_for(self, event_type: str) -> Operation | None:
        """The operation that serves an event type; None: this partner does not take such events."""
        for operation in self.operations:
            if event_type in operation.events:
                return operation
        return None

    def retry_of(self, operation: Operation) -> Retry:
        """The operation's own retry policy, or the connector's."""
        return operation.retry or self.retry

    def error(self, operation: str, *, code: str = "", http: int | None = None, message: str = "") -> ErrorRow | None:
        """The row for a partner's answer, or None: unclassified."""
        for row in self.errors:
            if row.fits(operation, code, http, message):
                return row
        return None

    @classmethod
    def load(cls, package: str) -> Manifest:
        """Read ``manifest.toml`` of a connector's package. Raises ``ConfigError`` naming file and key."""
        name = f"{package.replace('.', '/')}/manifest.toml"
        try:
            return cls.model_validate(tomllib.loads((files(package) / "manifest.toml").read_text("utf-8")))
        except OSError as error:
            raise unreadable(error, name, "TOML") from error
        except tomllib.TOMLDecodeError as error:
            raise refused("no_syntax", file=name, kind="TOML", found=str(error)) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise unfit(words_of(first), file=name, key=".".join(map(str, first["loc"]))) from error
