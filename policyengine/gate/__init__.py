"""The gate of an agent's tools: what every framework plugs into.

In: the user's words, each call that a model proposes, and what each tool returned. Out: whether a call may run and on
which arguments, what of a result the model may have, and which tools it may see. It knows no framework and no
transport; it decides through `authorize` and looks at texts through `release`.

| file | job |
|---|---|
| `session.py` | one session: before a call, after it, around it |
| `trail.py`, `normal_form.py` | where values came from; what counts as the same value |
| `receiving.py`, `items.py` | what a tool's result is worth, and which items of it |
| `session_needs.py` | what the rules in force ask of a session: nothing else is made for them |
| `copied_result.py` | a result as it was when it came back |
| `history.py` | what the session did so far |
| `run_call.py` | a call from its beginning to its end: decided, run, observed |
| `models.py` | the calls of a model: admitted, settled, released |
| `results.py` | a tool's result as rules read it, and back |
| `tool_list.py` | which tools a list shows |
| `argument_bounds.py` | what arguments have to be in any case, for the model to know |
| `call.py` | the answers, and the words for them |
| `engine_calls.py` | what a session needs of its engine |
| `service.py` | the half of an engine that does it |
"""
