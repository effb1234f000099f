"""AgentDojo v1.2.2 without a model: the ground truth of its tasks, replayed through a gate.

A run makes the calls of a user's task up to the first result that holds the injected text, then every call that the
text asks for, then the rest. A call that the gate denies is skipped. The benchmark's own checks say what came of it.
So the model is as bad as one can be: it does all that a stranger says, and nothing else goes wrong.

The benchmark lives in an environment and a process of its own (`worker.py`), from PyPI; nothing of it is in this
project. `policies/` has one policy for each suite. They know its tools and the data that its user has anyway, and
nothing of a task or an attack. Their author knew the tasks, though.

    python -m bench.agentdojo [--suite NAME] [--json FILE]
"""
