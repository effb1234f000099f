"""The other interceptor, in its own environment: `python theirs.py MANIFEST`, one JSON value per line in and out.

First `[[point, snapshot], ...]`: what it says of each. Then `N`: the nanoseconds of N calls of each, in turns.
"""

import json
import sys
import time

from agent_control_spec import ActivatedPolicy


def main(manifest: str) -> None:
    policy = ActivatedPolicy.activate(manifest)
    asked = json.loads(sys.stdin.readline())
    print(json.dumps([policy.evaluate(point, given).to_wire() for point, given in asked]), flush=True)
    for line in sys.stdin:
        took: list[list[int]] = [[] for _ in asked]
        for _ in range(json.loads(line)):
            for at, (point, given) in enumerate(asked):
                start = time.perf_counter_ns()
                policy.evaluate(point, given)
                took[at].append(time.perf_counter_ns() - start)
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
