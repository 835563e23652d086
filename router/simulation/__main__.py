"""``python -m router.simulation --seed 17`` plays one seed, ``--seeds 0..300`` many; exit 1 if a promise was broken,
or if many seeds never met one of the faults or awaits.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from typing import Final

from router.simulation.ports import template
from router.simulation.scenario import Result, run_seed

MANY: Final = 100  # seeds after which every fault and every await must have been met


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
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first broken promise")
    words = parser.parse_args()
    first, last = (words.seed, words.seed + 1) if words.seed is not None else map(int, words.seeds.split(".."))
    ledger, hits, broken = template(), Counter[str](), list[Result]()
    played = 0
    for seed in range(first, last):
        result = run_seed(seed, ledger)
        played += 1
        hits.update(result.hits)
        if result.violations:
            broken.append(result)
            if not words.json:
                _say(result)
            if not words.keep_going:
                break
        if not words.json and words.seed is not None:
            print(f"seed {seed}: trace {result.trace}, {result.seconds:.0f} virtual seconds")
        elif not words.json and played % 100 == 0:
            print(f"{played} seeds, {len(broken)} broken", file=sys.stderr)
    unmet = sorted(name for name, count in hits.items() if count == 0) if played >= MANY else []
    if words.json:
        told = [{"seed": r.seed, "violations": [v._asdict() for v in r.violations]} for r in broken]
        print(json.dumps({"seeds": played, "broken": told, "hits": hits, "unmet": unmet}))
    else:
        for name, count in sorted(hits.items()):
            print(f"{count:>9}  {name}")
        print(f"{played} seeds, {len(broken)} broken")
        if unmet:
            print(f"never met, so nothing is proven about it: {', '.join(unmet)}")
    return 1 if broken or unmet else 0


def _say(result: Result) -> None:
    again = f"python -m router.simulation --seed {result.seed}"
    print(f"seed {result.seed}: {len(result.violations)} violations; again: {again}")
    for violation in result.violations[:10]:
        print(f"    {violation.rule}: {violation.event} at {violation.recipient}: {violation.text}")


if __name__ == "__main__":
    sys.exit(main())
