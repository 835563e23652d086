"""What connector tests and demos use: simulated partners with quirks, a clock that a test moves, golden cases."""

from router.sdk.testing.clock import CountingIds, ManualClock
from router.sdk.testing.quirks import Quirk, Quirks, seeded
from router.sdk.testing.simulator import Effect, Handler, Incoming, Outgoing, Sent, Simulator, answer_json

__all__ = [
    "CountingIds",
    "Effect",
    "Handler",
    "Incoming",
    "ManualClock",
    "Outgoing",
    "Quirk",
    "Quirks",
    "Sent",
    "Simulator",
    "answer_json",
    "seeded",
]
