"""The long form: clients move money for as long as it takes while something is broken every few seconds.

    python -m tests.faults.soak --moves 20000 --kills 30          until at least so many of both
    python -m tests.faults.soak --minutes 10                      and at least so long

Each kill and each other fault is taken from a shuffled deck, so that every kind comes up; the seed is printed and can be given.
The last line is one JSON object. Exit code 0: no invariant broken, everything final, and back within `BACK_WITHIN_SECONDS`.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.faults import checker
from tests.faults.clients import Clients
from tests.faults.rig import KILLS, OTHERS, Rig, a_rig

BACK_WITHIN_SECONDS = 10.0
PAUSE_SECONDS = (5.0, 10.0)
"""Between two faults; counted from the first success after the one before."""
OTHERS_SHARE = 0.25

Fault = Callable[[Rig], float]


@dataclass
class Story:
    """What happened, for the table and the JSON line."""

    kills: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    def note(self, kind: str, seconds: float, *, kill: bool) -> None:
        """One fault, and how long the first success after healing took."""
        (self.kills if kill else self.others)[kind] += 1
        self.recoveries.setdefault(kind, []).append(seconds)

    @property
    def slowest(self) -> float:
        """Seconds of the slowest recovery."""
        return max((max(found) for found in self.recoveries.values()), default=0.0)


def main() -> int:
    """Parses, soaks, prints; the exit code."""
    parser = argparse.ArgumentParser(description="Break a site for a long time, and look whether anything is lost.")
    parser.add_argument("--moves", type=int, default=20_000, help="acknowledged moves at least")
    parser.add_argument("--kills", type=int, default=30, help="kill -9 at least")
    parser.add_argument("--minutes", type=float, default=0, help="at least so long")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    _say(f"seed {given.seed}, {given.clients} clients")
    with a_rig() as rig:
        _say(f"the site serves at {rig.url}")
        return _soak(rig, given)


def _soak(rig: Rig, given: argparse.Namespace) -> int:
    clients = Clients(
        rig.world, port=rig.port, folder=rig.clients_folder, name="soak", count=given.clients, seed=given.seed
    )
    story, began = Story(), time.monotonic()
    clients.start()
    try:
        _break_things(rig, clients, story, given)
    finally:
        rig.proxy.heal()
        rig.serve()
        clients.finish()
    healed = time.monotonic()
    checker.wait_until_final(rig)
    final_seconds = time.monotonic() - healed
    verdict = checker.check(rig)
    return _tell(clients, story, verdict, final_seconds=final_seconds, seconds=healed - began, seed=given.seed)


def _break_things(rig: Rig, clients: Clients, story: Story, given: argparse.Namespace) -> None:
    chance = random.Random(given.seed)
    kills, others = _Deck(KILLS, chance), _Deck(OTHERS, chance)
    until = time.monotonic() + given.minutes * 60
    clients.more(100)
    while story.kills.total() < given.kills or clients.moved() < given.moves or time.monotonic() < until:
        is_kill = chance.random() > OTHERS_SHARE
        kind, fault = (kills if is_kill else others).draw()
        seconds = clients.recovery_seconds(fault(rig), deadline_seconds=120)
        story.note(kind, seconds, kill=is_kill)
        _say(f"{clients.moved():>6} moves  {story.kills.total():>3} kills  {kind}: a success after {seconds:.2f} s")
        time.sleep(chance.uniform(*PAUSE_SECONDS))
        rig.serve()


class _Deck:
    """Every fault once, in chance's order, then all over again."""

    def __init__(self, faults: Mapping[str, Fault], chance: random.Random) -> None:
        self.faults, self.chance = faults, chance
        self.left: list[str] = []

    def draw(self) -> tuple[str, Fault]:
        if not self.left:
            self.left = self.chance.sample(sorted(self.faults), len(self.faults))
        kind = self.left.pop()
        return kind, self.faults[kind]


def _tell(
    clients: Clients, story: Story, verdict: checker.Verdict, *, final_seconds: float, seconds: float, seed: int
) -> int:
    for kind, found in sorted(story.recoveries.items()):
        _say(f"  {kind:<26} {len(found):>4} times   slowest {max(found):6.2f} s")
    for line in verdict.broken[:50]:
        _say(f"  BROKEN: {line}")
    well = not verdict.broken and story.slowest <= BACK_WITHIN_SECONDS
    figures = {
        "moves": verdict.acknowledged,
        "refused": verdict.refused,
        "unknown_resolved": clients.figures["resolved"],
        "kills": dict(story.kills),
        "kills_total": story.kills.total(),
        "other_faults": dict(story.others),
        "slowest_recovery_seconds": round(story.slowest, 2),
        "final_after_seconds": round(final_seconds, 2),
        "seconds": round(seconds),
        "broken": len(verdict.broken),
        "seed": seed,
        "verdict": "well" if well else "broken" if verdict.broken else "slow",
    }
    _say(json.dumps(figures))
    return 0 if well else 1


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a command's output


if __name__ == "__main__":
    sys.exit(main())
