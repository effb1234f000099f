"""LiteLLM's budget limiter by itself: what it takes to be asked, and to be told of a cost. Prints the medians as JSON.

It looks at what was spent before a call and records after it, in its own memory, so that calls at the same time pass a
budget together; Redis is told in the background.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from statistics import median
from typing import Any

# It would ask the network for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

DEPLOYMENTS = [
    {"model_name": "gpt-4o", "litellm_params": {"model": "openai/gpt-4o"}, "model_info": {"id": "one"}},
]
SPENT: dict[str, Any] = {
    "standard_logging_object": {"response_cost": 0.018, "model_id": "one", "custom_llm_provider": "openai"},
    "litellm_params": {},
}


async def measured(rounds: int) -> dict[str, float]:
    from litellm.caching.caching import DualCache
    from litellm.router_strategy.budget_limiter import RouterBudgetLimiting

    limiter = RouterBudgetLimiting(DualCache(), {"openai": {"budget_limit": 1e12, "time_period": "1d"}})
    await asyncio.sleep(1)
    times: dict[str, list[float]] = {"ask": [], "record": []}
    for _ in range(rounds):
        start = time.perf_counter()
        found = await limiter.async_filter_deployments("gpt-4o", DEPLOYMENTS, None, {})
        middle = time.perf_counter()
        await limiter.async_log_success_event(SPENT, None, 0.0, 0.0)
        times["ask"].append(middle - start)
        times["record"].append(time.perf_counter() - middle)
        assert found
    return {name: median(taken[rounds // 10 :]) for name, taken in times.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(int(sys.argv[1])))))
