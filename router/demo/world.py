"""The demo's world: simulated partners, the installation between them, and who is who."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors.land_registry.simulator import LandRegistrySimulator
from connectors.national_portal.simulator import NationalPortalSimulator
from connectors.one_stop.simulator import OneStopSimulator
from connectors.tax.simulator import TaxSimulator
from router.configuration import config_error
from router.demo.cast import disputed, one_in_ten, turn_of
from router.ports import Clock
from router.sdk.testing import Sent, Simulator
from router.settings import Settings

TOKEN = "demo-token"
STRANGER = "H39.25.01-250616-9999"
SEATS = Path(__file__).parent / "days.yaml"
COMMUNE, NEIGHBOUR, LAND_OFFICE, TAX_OFFICE = "H39.25.01", "H53", "H39.16.01.02", "H39.90"


@dataclass(slots=True)
class World:
    """The partners by recipient id."""

    portal: NationalPortalSimulator
    one_stop: OneStopSimulator
    neighbour: OneStopSimulator
    land: LandRegistrySimulator
    tax: TaxSimulator
    _said_before: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)  # sender, identity; by code

    @classmethod
    def make(cls, clock: Clock, seed: int = 1) -> World:
        """All partners, not started. By the seed one dossier in ten lacks papers, and another one in ten has its first
        PCTT sent back.
        """
        lacks, returned = one_in_ten(seed + 2), one_in_ten(seed + 5)
        tax = TaxSimulator(clock, token=TOKEN, agency=TAX_OFFICE, returns=returned, batch=5, stranger=STRANGER)
        return cls(
            portal=NationalPortalSimulator(clock, token=TOKEN, on_paid=tax.paid),
            one_stop=OneStopSimulator(clock, token=TOKEN, agency=COMMUNE, disputes=disputed),
            neighbour=OneStopSimulator(clock, token=TOKEN, agency=NEIGHBOUR),
            land=LandRegistrySimulator(clock, secret=TOKEN, agency=LAND_OFFICE, wants_supplement=lacks, turn=turn_of),
            tax=tax,
        )

    def partners(self) -> Mapping[str, Simulator]:
        """Simulators by recipient id."""
        return {
            "land-h39": self.land,
            "one-stop-h39": self.one_stop,
            "one-stop-h53": self.neighbour,
            "portal": self.portal,
            "tax-h39": self.tax,
        }

    def hand_over(self, code: str) -> None:
        """The one-stop's agency is gone: its successor goes on with an open dossier, and hears what is said of it."""
        said = {
            (each, s.identity) for each, simulator in self.partners().items() for s in simulator.sent if s.code == code
        }
        self._said_before[code] = frozenset(said)
        self.neighbour.take_over(code, self.one_stop)

    def target(self, sender: str, message: Sent, kind: str) -> str:
        """The recipient that a sender's message goes to, for a kind of target."""
        if kind == "one_stop" and sender.startswith("one-stop"):
            return "one-stop-h53" if sender == "one-stop-h39" else "one-stop-h39"
        said_before = self._said_before.get(message.code)
        if kind == "one_stop" and said_before is not None and (sender, message.identity) not in said_before:
            return "one-stop-h53"
        return {"portal": "portal", "land": "land-h39", "tax": "tax-h39", "one_stop": "one-stop-h39"}[kind]

    async def start(self, stack: AsyncExitStack) -> None:
        """Serve on loopback."""
        for simulator in self.partners().values():
            await simulator.start()
            stack.push_async_callback(simulator.stop)

    def connect(self, service_url: str) -> None:
        """Tell the partners where the router is."""
        for recipient, simulator in self.partners().items():
            simulator.inbound_url = f"{service_url}/in/{recipient}"

    def idle(self) -> bool:
        """Whether no partner has anything left to say."""
        return all(simulator.idle() for simulator in self.partners().values()) and not self.tax.waiting

    def motion(self) -> Iterator[int]:
        """Numbers that change while anything happens."""
        for simulator in self.partners().values():
            yield simulator.pushed
            yield len(simulator.effects)


def demo_settings(values: Mapping[str, Any]) -> Settings:
    """The installation between the partners. Raises ``ConfigError``."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise config_error(error, "demo", Settings) from None


def demo_values(world: World, data: Path, *, bus: str, ledger: str) -> dict[str, Any]:
    """The settings of the installation between the partners, as a file would hold them."""
    return {
        "data": str(data),
        "bus": {"url": bus, "partitions": 6, "kafka": {"replication": 1, "min_insync_replicas": 1}},
        "ledger": {"url": ledger},
        "http": {"port": 0},
        "identity": {"key": TOKEN},
        "delivery": {"grace": 5.0},
        "procedures": {"enabled": True, "overrides": str(SEATS)},
        "recipients": {
            "portal": {
                "connector": "national_portal",
                "config": {
                    "http": {"base_url": world.portal.url},
                    "user": "demo",
                    "password": TOKEN,
                    "dstcode": "VN:GOV:000.00.00.G22:vpcpdvcqg",
                    "unit": COMMUNE,
                    "webhook_token": TOKEN,
                },
            },
            "one-stop-h39": {"connector": "one_stop", "config": _one_stop(world.one_stop)},
            "one-stop-h53": {"connector": "one_stop", "config": _one_stop(world.neighbour)},
            "land-h39": {
                "connector": "land_registry",
                "config": {
                    "http": {"base_url": world.land.url},
                    "api_key": TOKEN,
                    "webhook_secret": TOKEN,
                    "agency": LAND_OFFICE,
                },
            },
            "tax-h39": {
                "connector": "tax",
                "wait_window": 3.0,
                "config": {
                    "http": {"base_url": world.tax.url},
                    "system_id": "lgsp",
                    "system_key": TOKEN,
                    "webhook_token": TOKEN,
                    "agency": TAX_OFFICE,
                },
            },
        },
    }


def _one_stop(simulator: OneStopSimulator) -> dict[str, object]:
    return {
        "http": {"base_url": simulator.url},
        "client_id": "lgsp",
        "client_secret": TOKEN,
        "webhook_token": TOKEN,
    }
