"""The scenarios of `agents/test_scenarios.py` with LiteLLM's proxy."""

from tests.integrations.agents.test_scenarios import *  # noqa: F403

HOSTS = ["litellm"]
