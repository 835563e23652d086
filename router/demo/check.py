"""The demo's check: what every partner holds against what was sent. Pure.

Nothing lost: every message took effect at everybody it was for. Nothing twice: no effect came under two event ids.
Order: at one recipient the effects of a dossier stand in the order in which each sender said them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from router.sdk.testing import Effect, Sent


class Finding(NamedTuple):
    """Something that differs: ``lost``, ``twice``, ``order``, ``state`` or ``extra``."""

    kind: str
    recipient: str
    code: str
    what: str


Target = Callable[[str, Sent, str], str]


def compare(
    sent: Mapping[str, Sequence[Sent]], effects: Mapping[str, Sequence[Effect]], target: Target
) -> list[Finding]:
    """Compare all partners. ``target`` gives the recipient for (sender, message, kind of target)."""
    expected = _expected(sent, target)
    findings: list[Finding] = []
    for recipient, held in effects.items():
        actual: dict[str, list[str]] = defaultdict(list)
        ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        for effect in held:
            ids[effect.code, effect.identity].add(effect.event_id)
            if not effect.repeated:
                actual[effect.code].append(effect.identity)
        findings += [
            Finding("twice", recipient, code, identity) for (code, identity), under in ids.items() if len(under) > 1
        ]
        wanted = expected.get(recipient, {})
        for code in sorted(wanted.keys() | actual.keys()):
            findings += _of_code(recipient, code, wanted.get(code, {}), actual.get(code, []))
    return findings


def states(wanted: Mapping[str, str], held: Mapping[str, str], recipient: str) -> list[Finding]:
    """Dossiers whose end state at a partner is not the one expected."""
    return [
        Finding("state", recipient, code, f"{held.get(code, 'nothing')} instead of {state}")
        for code, state in wanted.items()
        if held.get(code) != state
    ]


def _expected(sent: Mapping[str, Sequence[Sent]], target: Target) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Recipient → code → sender → identities in the order they were sent."""
    expected: dict[str, dict[str, dict[str, list[str]]]] = {}
    for sender, messages in sent.items():
        for message in messages:
            for kind in message.to:
                by_code = expected.setdefault(target(sender, message, kind), {})
                by_code.setdefault(message.code, {}).setdefault(sender, []).append(message.identity)
    return expected


def _of_code(
    recipient: str, code: str, wanted: Mapping[str, Sequence[str]], actual: Sequence[str]
) -> Iterable[Finding]:
    held = set(actual)
    every = {identity for identities in wanted.values() for identity in identities}
    for identity in actual:
        if identity not in every:
            yield Finding("extra", recipient, code, identity)
    for sender, identities in wanted.items():
        missing = [identity for identity in identities if identity not in held]
        for identity in missing:
            yield Finding("lost", recipient, code, f"{identity} from {sender}")
        said = dict.fromkeys(identities)
        order = [identity for identity in actual if identity in said]
        if not missing and order != list(said):
            yield Finding("order", recipient, code, f"{' '.join(order)} instead of {' '.join(said)}")
