"""The scenarios of `agents/test_scenarios.py` with Google's Agent Development Kit."""

from tests.integrations.agents.test_scenarios import *  # noqa: F403

HOSTS = ["google_adk"]
