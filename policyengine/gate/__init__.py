"""The gate of an agent's tools, which every framework adapter uses.

In: the user's words, each call that a model proposes, and what each tool returned. Out: whether a call may run and with
which arguments, what the model may have of a result, and which tools it may see. It depends on no framework and no
transport; it decides through `authorize` and inspects texts through `release`.

| file | job |
|---|---|
| `session.py` | one session: before a call, after it, around it |
| `trail.py`, `normal_form.py` | where values came from; which values count as the same |
| `receiving.py`, `items.py` | whether a tool's result is trusted, and which items of it |
| `session_needs.py` | what the rules in force need of a session: nothing else is computed for them |
| `copied_result.py` | a result as it was when it came back |
| `history.py` | what the session has done so far |
| `run_call.py` | a call from its beginning to its end: decided, run, observed |
| `models.py` | the calls of a model: admitted, settled, released |
| `results.py` | a tool's result as rules read it, and back |
| `tool_list.py` | which tools a list shows |
| `argument_bounds.py` | the bounds that arguments always have, for the model to know |
| `call.py` | the decision about a call, and its wording |
| `engine_calls.py` | what a session needs of its engine |
| `service.py` | the half of an engine that does it |
"""
