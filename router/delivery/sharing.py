"""Who should own what among the processes that live: pure. Nobody is asked, everybody comes to the same answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from router.ledger.leases import ProcessRow


class Seen(NamedTuple):
    """A process's beat, and when (monotonic) this process first saw it at that value."""

    beat: int
    since: float


@dataclass(slots=True)
class Watch:
    """What this process has seen of the others' beats. ``patience`` in seconds."""

    patience: float
    seen: dict[str, Seen] = field(default_factory=dict)

    def observe(self, processes: Mapping[str, ProcessRow], now: float) -> None:
        """Note the beats as just read."""
        for name, row in processes.items():
            if name not in self.seen or self.seen[name].beat != row.beat:
                self.seen[name] = Seen(row.beat, now)
        for gone in self.seen.keys() - processes.keys():
            del self.seen[gone]

    def is_dead(self, process: str, now: float) -> bool:
        """Whether a process's beat has stood still for long enough, or it has none."""
        seen = self.seen.get(process)
        return seen is None or now - seen.since > self.patience


def preferred(name: str, processes: Iterable[str]) -> str:
    """The process that should own a lease (rendezvous hashing): when one comes or goes, only its own share moves.

    >>> preferred("shard:tax-h39/0", ["b", "a"]) == preferred("shard:tax-h39/0", ["a", "b"])
    True
    """
    return max(processes, key=lambda process: blake2b(f"{process}\x00{name}".encode(), digest_size=8).digest())
