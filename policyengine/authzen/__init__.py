"""The AuthZEN contract, once: what a request and an answer are, for the service, the command line and clients.

In: the bytes of a JSON text, or the plain value of one. Out: what the engine takes, or Malformed or Misspelt with a
message that names the place and shows no value. It does not depend on HTTP, a terminal or an engine.

    bytes ─▶ quick ─┬─────────────────────────────▶ Arguments, Batch, ...
                    └─▶ parse_json ─▶ read (models) ─▶ the same

| file | job |
|---|---|
| `requests.py`, `answers.py` | the types, as pydantic models: the contract |
| `entities.py` | AuthZEN's entity and the engine's: what one is, and the way from one to the other |
| `engine_arguments.py` | the result of reading: the arguments of the engine |
| `read.py` | plain values through the models to arguments |
| `fast_read.py` | bytes to the same arguments, several times faster; leaves what is rare to `read.py` |
| `errors.py` | the two ways in which something is not a request |
| `openapi.py`, `examples.py` | the models as an OpenAPI document |
| `openapi_operations.py` | the operations beside the AuthZEN APIs, for that document |

**An entity** on the wire is `{"type", "id", "properties": {...}}`. Attributes may also be beside `id`; its `parents`
may be in either place. Nothing is dropped: one name in both places is refused. An entity *in* the properties or the
context, at any depth, is read in the same way: that is any object whose `type` and `id` are texts and whose
`properties` is an object. There `properties` also stays as an attribute, for data that only looks like an entity.
"""
