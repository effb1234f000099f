"""LiteLLM's budget limiter by itself: what it takes to be asked, and to be told of a cost. Prints the medians as JSON.

    python -m bench.peers.litellm_budget ROUNDS [PORT OF A REDIS]

It looks at what was spent before a call and records after it, in its own memory, so that calls at the same time pass a
budget together. With Redis that is the same: what was spent is put there once a second, in the background, and only
then do other processes know. `share` is what that takes where it is done for one call.
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


async def measured(rounds: int, port: int | None) -> dict[str, float]:
    from litellm.caching.caching import DualCache, RedisCache
    from litellm.router_strategy.budget_limiter import RouterBudgetLimiting

    shared = RedisCache(host="127.0.0.1", port=port) if port is not None else None
    limiter = RouterBudgetLimiting(
        DualCache(redis_cache=shared), {"openai": {"budget_limit": 1e12, "time_period": "1d"}}
    )
    await asyncio.sleep(1)
    times: dict[str, list[float]] = {"ask": [], "record": []} | ({"share": []} if shared is not None else {})
    for _ in range(rounds):
        start = time.perf_counter()
        found = await limiter.async_filter_deployments("gpt-4o", DEPLOYMENTS, None, {})
        middle = time.perf_counter()
        await limiter.async_log_success_event(SPENT, None, 0.0, 0.0)
        end = time.perf_counter()
        times["ask"].append(middle - start)
        times["record"].append(end - middle)
        if shared is not None:
            await limiter._sync_in_memory_spend_with_redis()
            times["share"].append(time.perf_counter() - end)
        assert found
    if shared is not None:
        # It has really been there.
        spent = float(await shared.async_get_cache("provider_spend:openai:1d"))
        assert abs(spent - rounds * 0.018) < 1.0, spent
    return {name: median(taken[rounds // 10 :]) for name, taken in times.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))))
