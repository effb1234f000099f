"""The scenarios of `agents/test_scenarios.py` with CrewAI."""

from tests.integrations.agents.test_scenarios import *  # noqa: F403

HOSTS = ["crewai"]
