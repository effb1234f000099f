"""The engine over HTTP: the OpenID AuthZEN Authorization API 1.0, with its Obligations profile.

In: HTTP requests. Out: decisions as JSON. The only room that knows HTTP; `authzen/` defines requests and answers.

    identify ─▶ authenticate ─▶ limit ─▶ handle ─▶ record
                                           │
    bytes ─▶ body ─▶ authzen ─▶ Engine.decide ─▶ obligations ─▶ encode ─▶ bytes

Run it with `policyengine serve`, or with any ASGI server:

    POLICYENGINE_POLICIES=policies/ POLICYENGINE_KEYS__STORE=keys.json \\
      uvicorn --factory policyengine.server.app:application

The settings are in the room `settings/`.

| file | job |
|---|---|
| `app.py` | the parts put together; loading, watching and stopping |
| `authentication.py` | the step that determines the caller |
| `administration.py`, `admin.pol` | who may administer, decided by policies |
| `reload.py` | the policies read again, at an administrator's request |
| `limit.py` | the step that checks whether this caller may ask: scopes, and how often |
| `bind.py` | requests of callers that are bound to a tenant or a principal |
| `listener.py` | uvicorn's protocol with the peer's certificate, and a cap |
| `security_headers.py`, `response_head.py` | the headers of every answer, and those of a 200 as bytes |
| `deadline.py`, `loop_turns.py` | how long a connection may take; when a turn of the event loop began |
| `listener_refusals.py` | the answers of the listener itself |
| `engine_slot.py` | the engine, from its first load on |
| `body.py` | content type and size: a request's bytes, or the error that refuses them |
| `evaluation.py` | the two evaluation endpoints |
| `fast_evaluation.py` | evaluations that wait for nothing, and need no task |
| `explain.py` | decisions with their reasons |
| `batch_budget.py` | how much work a batch may ask for |
| `thread_pools.py`, `disconnects.py` | work outside the event loop; work whose client may hang up first |
| `load_shedding.py` | requests refused when they have waited too long |
| `pending_bodies.py`, `unread_answers.py` | bounds on memory: incomplete bodies, unread answers |
| `obligations.py` | obligation types on the wire, and those that a caller supports |
| `encode.py` | Decision → JSON |
| `openapi.py` | the contract and the other routes as an OpenAPI document |
| `metadata.py`, `health.py`, `metrics.py` | what the service says about itself |
| `pipeline.py` | the steps that every request goes through, whatever its path |
| `other_routes.py` | the application of all routes that are not questions |
| `record.py` | the record of a decision, for the steps that write it down |
| `request_id.py`, `errors.py` | the identifier of a request; errors on the wire |
| `log.py` | log lines |

Never: a 200 without a boolean decision, a decision in an error, an attribute of a request in a message or a log line.
"""
