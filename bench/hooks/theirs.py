"""The other interceptor, in its own environment: `python theirs.py MANIFEST`, one JSON value per line in and out.

First `[[point, snapshot], ...]`: what it says of each. Then `N`: the nanoseconds of N calls of each, in turns.
"""

import json
import sys
import time

from agent_control_spec import AcsInterceptor


def main(manifest: str) -> None:
    interceptor = AcsInterceptor(manifest)
    asked = [{**given, "interception_point": point} for point, given in json.loads(sys.stdin.readline())]
    print(json.dumps([interceptor.intercept(one).to_wire() for one in asked]), flush=True)
    for line in sys.stdin:
        took: list[list[int]] = [[] for _ in asked]
        for _ in range(json.loads(line)):
            for at, one in enumerate(asked):
                start = time.perf_counter_ns()
                interceptor.intercept(one)
                took[at].append(time.perf_counter_ns() - start)
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
