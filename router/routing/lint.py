"""What can be seen wrong in a routing table without an event: for ``lgsp routes check``."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from typing import NamedTuple

from router.events import ROUTER
from router.routing.table import ADDRESSEE, Routes, Rule


class Finding(NamedTuple):
    """One finding. ``error`` ones keep the table from doing what it says."""

    rule: str
    line: int
    problem: str
    error: bool


def check(routes: Routes, recipients: Collection[str], event_types: Collection[str]) -> list[Finding]:
    """Unknown recipients and types, roles nobody serves, rules behind one that stops everything, recipients unused; a
    circle in the registry.
    """
    findings: list[Finding] = []
    served = {role for agency in routes.registry.agencies.values() for role in agency.serves}
    stopper: Rule | None = None
    for rule in routes.rules:
        if stopper is not None:
            findings.append(Finding(rule.name, rule.line, f"is never reached: {stopper.name} takes everything", True))
        findings += [Finding(rule.name, rule.line, text, True) for text in _targets(rule, recipients, served)]
        for pattern in rule.match.type:
            if not any(fnmatchcase(event_type, pattern) for event_type in event_types):
                findings.append(Finding(rule.name, rule.line, f"type {pattern} fits no known event", True))
        if rule.stop and rule.match == type(rule.match)():
            stopper = rule
    named = {target for rule in routes.rules for target in rule.to}
    named |= {recipient for agency in routes.registry.agencies.values() for recipient in agency.serves.values()}
    if circle := routes.registry.circle():
        findings.append(Finding("", 0, f"the registry goes in a circle: {circle}", True))
    unused = sorted(set(recipients) - named - {ROUTER})
    findings += [Finding("", 0, f"recipient {name} gets nothing", False) for name in unused]
    return findings


def _targets(rule: Rule, recipients: Collection[str], served: Collection[str]) -> list[str]:
    problems = []
    for target in rule.to:
        role = target.removeprefix(ADDRESSEE)
        if role != target and role not in served:
            problems.append(f"no agency is served in the role {role}")
        elif role == target and target not in recipients:
            problems.append(f"recipient {target} is not configured")
    return problems
