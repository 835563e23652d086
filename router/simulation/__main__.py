"""``python -m router.simulation --seed 17`` plays one seed, ``--seeds 0..300`` many, ``--jobs 2`` on two cores.

It exits with 1 if a promise was broken, if a seed was too tame, or if many seeds never met one of the faults, turns or
awaits.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from router.simulation.chaos import FEWEST_KINDS
from router.simulation.many import results
from router.simulation.scenario import Result

MANY: Final = 100  # seeds after which every fault, every turn and every await must have been met
TELL_EVERY: Final = 100


@dataclass
class Summary:
    """Of all seeds played. ``thin`` ones drove fewer events, recipients, processes or kinds of fault than they must."""

    played: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    broken: list[Result] = field(default_factory=list)
    thin: list[int] = field(default_factory=list)
    fewest_kinds: int = 99

    def add(self, result: Result) -> None:
        """One more."""
        self.played += 1
        self.hits.update(result.hits)
        self.fewest_kinds = min(self.fewest_kinds, result.kinds)
        if result.violations:
            self.broken.append(result)
        if result.events < 200 or result.recipients < 3 or result.processes < 2 or result.kinds < FEWEST_KINDS:
            self.thin.append(result.seed)

    @property
    def unmet(self) -> list[str]:
        """What never happened in many seeds."""
        return sorted(name for name, count in self.hits.items() if count == 0) if self.played >= MANY else []


def main() -> int:
    """Parse the words and play. The order of sets must not depend on the process: hashing is fixed."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable,
            [sys.executable, "-m", "router.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    parser = argparse.ArgumentParser(prog="python -m router.simulation")
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", default="0..20", help="first..last, the last one not included")
    parser.add_argument("--jobs", type=int, default=1, help="processes to play on (default: this one alone)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first broken promise")
    words = parser.parse_args()
    first, last = (words.seed, words.seed + 1) if words.seed is not None else map(int, words.seeds.split(".."))
    summary, began = Summary(), time.monotonic()
    with closing(results(range(first, last), words.jobs)) as played:
        for result in played:
            summary.add(result)
            if not words.json and (result.violations or words.seed is not None):
                _say(result)
            if summary.played % TELL_EVERY == 0:
                pace = (time.monotonic() - began) / summary.played
                print(f"{summary.played} seeds, {len(summary.broken)} broken, {pace:.2f} s each", file=sys.stderr)
            if result.violations and not words.keep_going:
                break
    _sum_up(summary, as_json=words.json)
    return 1 if summary.broken or summary.unmet or summary.thin else 0


def _sum_up(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        told = [{"seed": r.seed, "violations": [v._asdict() for v in r.violations]} for r in summary.broken]
        print(json.dumps({
            "seeds": summary.played, "broken": told, "hits": summary.hits, "unmet": summary.unmet,
            "thin": summary.thin, "fewest_kinds": summary.fewest_kinds,
        }))  # fmt: skip
        return
    for name, count in sorted(summary.hits.items()):
        print(f"{count:>9}  {name}")
    print(
        f"{summary.played} seeds, {len(summary.broken)} broken; at least {summary.fewest_kinds} kinds of fault in each"
    )
    if summary.unmet:
        print(f"never met, so nothing is proven about it: {', '.join(summary.unmet)}")
    if summary.thin:
        print(f"too tame to prove anything: {', '.join(map(str, summary.thin))}")


def _say(result: Result) -> None:
    if not result.violations:
        print(f"seed {result.seed}: trace {result.trace}, {result.seconds:.0f} virtual seconds")
        return
    again = f"python -m router.simulation --seed {result.seed}"
    print(f"seed {result.seed}: {len(result.violations)} violations; again: {again}")
    for violation in result.violations[:10]:
        print(f"    {violation.rule}: {violation.event} at {violation.recipient}: {violation.text}")


if __name__ == "__main__":
    sys.exit(main())
