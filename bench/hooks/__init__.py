"""Two interceptors of AGENT-HOOKS beside each other: `python -m bench.hooks`."""
