"""One process that asks a store for as much as it gets: `python -m tests.state.hammer URL SEED COUNT`.

Each request asks for three of five meters and for one thing in flight. A line is printed for each answer; whoever kills
this process knows what it was told until then.
"""

from __future__ import annotations

import random
import sys
from functools import partial

from policyengine.state.operations import Cancel, Charge, Commit, Done, Settle
from policyengine.state.stores.opening import open_store
from policyengine.state.windows import Concurrent, Sliding

KEYS = ("a", "b", "c", "d", "e")
MILLION = 1_000_000
WINDOW = Sliding(3600 * MILLION)
LEASE = 2 * MILLION
say = partial(print, flush=True)


def charges(names: list[str], ceiling: int, flights: int) -> tuple[Charge, ...]:
    metered = tuple(Charge(name, name, (), WINDOW, ceiling, MILLION) for name in names)
    return (*metered, Charge("flight", "flight", (), Concurrent(), flights * MILLION, MILLION))


def main() -> None:
    url, seed, count, ceiling, flights = sys.argv[1], *map(int, sys.argv[2:])
    rng = random.Random(seed)
    store = open_store(url)
    for number in range(count):
        names = rng.sample(KEYS, 3)
        asked = charges(names, ceiling * MILLION, flights)
        id_ = f"{seed}-{number}"
        outcome = store.run(Commit(id_, "ann", asked, LEASE, 3600 * MILLION))
        if isinstance(outcome, Done):
            assert all(use.used <= use.ceiling for use in outcome.uses)
            say("charged", *names)
            windows = tuple((charge.meter, charge.window) for charge in asked)
            if rng.random() < 0.2:
                # Where the machine is slow, the lease may have ended: its estimate stays.
                if isinstance(store.run(Cancel(id_, "ann", tuple(charge.meter for charge in asked))), Done):
                    say("cancelled", *names)
            else:
                store.run(Settle(id_, "ann", (), windows))
        else:
            say("refused")


if __name__ == "__main__":
    main()
