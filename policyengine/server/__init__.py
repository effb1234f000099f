"""The engine over HTTP: the OpenID AuthZEN Authorization API 1.0, with its Obligations profile.

In: HTTP requests. Out: decisions as JSON. The only room that knows HTTP and the wire models; it turns AuthZEN's
`subject` and `properties` into the engine's flat entities, and nothing else in the package speaks AuthZEN.

    identify ─▶ authenticate ─▶ limit ─▶ handle ─▶ record
                                           │
    bytes ─▶ body ─▶ decode ─▶ Engine.decide ─▶ obligations ─▶ encode ─▶ bytes

Run it with `policyengine serve`, or with any ASGI server:

    POLICYENGINE_POLICIES=policies/ uvicorn --factory policyengine.server.app:create_app

Every setting is an environment variable, listed in `settings.py`.

| file | job |
|---|---|
| `app.py` | the parts put together; loading, watching and stopping |
| `settings.py` | what can be configured |
| `pdp.py` | the engine, from its first load on |
| `body.py` | content type and size: a request's bytes, or the error that refuses them |
| `decode.py` | bytes → checked request values |
| `usual.py` | the same for the usual request, several times faster; leaves everything else to `decode.py` |
| `evaluation.py` | the two evaluation endpoints |
| `obligations.py` | obligation types on the wire, and what a caller says it supports |
| `encode.py` | Decision → JSON |
| `wire.py`, `openapi.py` | the contract, written down for readers and generators |
| `metadata.py`, `health.py`, `metrics.py` | what the service says about itself |
| `pipeline.py` | the steps that every request goes through, whatever its path |
| `record.py` | what remains of a decision, for the steps that write it down |
| `request_id.py`, `errors.py` | the identifier of a request; errors on the wire |
| `log.py` | log lines |

Never: a 200 without a boolean decision, a decision in an error, an attribute of a request in a message or a log line.
"""
