"""The service put together: from settings to an ASGI application.

The policies are loaded when the application starts, and it does not start with invalid ones. From then on, a change is
loaded beside the current policies and replaces them only if it is valid.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from policyengine import search
from policyengine.authzen import endpoints
from policyengine.authzen.engine_arguments import Sought
from policyengine.bundle import InvalidPolicies
from policyengine.callers.stores.store import KeyStoreError
from policyengine.callers.tenancy import tenants_of
from policyengine.diagnostics import render
from policyengine.engine import Engine
from policyengine.events.sink import Sink
from policyengine.server import (
    blocks,
    fast_evaluation,
    health,
    log,
    metadata,
    metered_evaluation,
    metrics,
    openapi,
    usage,
)
from policyengine.server.access.access import Access
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.administration import Administration
from policyengine.server.authentication import Authentication, Insecure, authentication
from policyengine.server.authorize import authorize, authorize_many, open_session, record_result, reservation
from policyengine.server.bind import Binding
from policyengine.server.engine_slot import EngineSlot
from policyengine.server.errors import RequestError, http_error, request_error, store_away, unexpected
from policyengine.server.evaluation import evaluate, evaluate_batch, way_of
from policyengine.server.explain import answer_explain
from policyengine.server.filter import answer_filter
from policyengine.server.guardrail import Guardrail
from policyengine.server.keys import KeyDesk
from policyengine.server.limit import LimitStep
from policyengine.server.page_tokens import PageTokens
from policyengine.server.pipeline import Authenticate, Limit, Pipeline, Question, Steps
from policyengine.server.rate_limits import RateLimits, rates
from policyengine.server.release import admit, detokenize, release
from policyengine.server.release_events import release_events
from policyengine.server.reload import reload
from policyengine.server.search import Searches
from policyengine.server.thread_pools import ThreadPools, giving_way
from policyengine.settings.event_sinks import telling
from policyengine.settings.loading import WrongSettings, from_environment
from policyengine.settings.model import Settings
from policyengine.state.reloads import Reload
from policyengine.state.store import StoreError as UnusableState
from policyengine.version import VERSION
from policyengine.warm.collector import settled
from policyengine.workers.sibling import Report, Sibling, joined


def create_app(
    settings: Settings | None = None, *, authenticate: Authenticate | None = None, limit: Limit | None = None
) -> Pipeline:
    """An application that loads its policies when it starts. Settings come from the environment if not given.

    `authenticate` and `limit` are called before anything else, for every path: see `pipeline.py`.
    """
    settings = settings or from_environment()
    log.configure(settings.log_format, settings.log_level)
    slot = EngineSlot()
    tally = metrics.Tally()
    sinks = telling(settings.events)
    step, administration, limits = _admission(settings, tally, authenticate is None, sinks.everybody)
    binding = Binding(settings.tenants.tenancy())
    threads = ThreadPools(settings.limits.concurrency)
    access = Access(settings, slot, binding, threads)
    ring = step.authenticator.keyring if isinstance(step, Authentication) else None
    keys = KeyDesk(ring, administration, sinks.everybody)
    decision_log = log.DecisionLog(settings.decision_log, settings.log_level)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            stack.callback(sinks.everybody.close)
            stack.enter_context(giving_way())
            slot.sibling = ours = joined()
            if ours is not None:
                stack.callback(ours.close)
            slot.engine = engine = await asyncio.to_thread(_load, settings, sinks.everybody, ours)
            stack.callback(engine.close)
            stack.enter_context(settled())
            gated = settings.gate == "tests"
            if settings.reload:
                stack.enter_context(engine.watch(gate_tests=gated, on_reload=partial(_reloaded, tally)))
            if ours is not None:
                engine.turns = ours
                # Before waiting for the end of watching.
                stack.callback(ours.release)
                ours.run(
                    partial(_report, engine, registry), partial(_reload_prepared, engine, gated, tally), engine.catch_up
                )
            await asyncio.to_thread(access.open, engine)
            if limits is not None:
                limits.store = engine.store
            running = [access.run()]
            if step is not None:
                stack.callback(step.close)
                running.append(step.run())
            following = [asyncio.create_task(each) for each in running]
            try:
                yield
            finally:
                access.close()
                for each in following:
                    each.cancel()

    # Its page at /docs loads its scripts from here, and from no other server.
    app = FastAPIOffline(
        title="policyengine",
        summary="Decisions for AI systems, made outside the model: the OpenID AuthZEN Authorization API 1.0",
        version=VERSION,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: http_error,
            RequestError: request_error,
            UnusableState: store_away,
            Exception: unexpected,
        },
    )

    tokens = PageTokens(settings.page_key.get_secret_value())

    def searching(sought: Sought) -> Question:
        # How long it takes depends on the number of results, not on the body.
        return Question(
            f"search_{sought}", Searches(sought, tokens, settings.max_page, binding, authorizes), thread_body=0
        )

    authorizes = settings.evaluation == "authorize"
    questions = {
        **_evaluations(settings, binding, access.desk),
        **access.questions(),
        endpoints.FILTER: Question("filter", partial(answer_filter, binding=binding), thread_body=0),
        endpoints.EXPLAIN: Question(
            "explain", partial(answer_explain, binding=binding, charged=authorizes), thread_body=0
        ),
        endpoints.SEARCH_SUBJECT: searching("subject"),
        endpoints.SEARCH_RESOURCE: searching("resource"),
        endpoints.SEARCH_ACTION: searching("action"),
        # They wait for a store.
        endpoints.AUTHORIZE: Question(
            "authorize", partial(authorize, binding=binding, desk=access.desk), thread_body=0, kind="waiting"
        ),
        endpoints.AUTHORIZATIONS: Question(
            "authorizations",
            partial(authorize_many, binding=binding, desk=access.desk, most=settings.max_metered_batch),
            thread_body=0,
            kind="waiting",
        ),
        endpoints.SESSIONS: Question("sessions", partial(open_session, binding=binding), thread_body=0, kind="waiting"),
        endpoints.RELEASE: Question(
            "release",
            partial(release, binding=binding),
            thread_body=0,
            kind="texts",
            stream=partial(
                release_events,
                binding=binding,
                limit=settings.max_body_bytes,
                seconds=settings.texts.stream_seconds,
            ),
        ),
        endpoints.ADMIT: Question("admit", partial(admit, binding=binding), thread_body=0, kind="texts"),
        endpoints.DETOKENIZE: Question("detokenize", partial(detokenize, binding=binding), thread_body=0, kind="texts"),
        endpoints.RESULTS: Question("results", partial(record_result, binding=binding), thread_body=0, kind="waiting"),
        endpoints.BLOCK: Question("block", blocks.block, thread_body=0, kind="waiting"),
        endpoints.UNBLOCK: Question("unblock", blocks.unblock, thread_body=0, kind="waiting"),
        endpoints.VOID: Question("void", blocks.void, thread_body=0, bare=True, kind="waiting"),
        endpoints.RELOAD: Question(
            "reload",
            partial(reload, gate_tests=settings.gate == "tests", on_reload=partial(_reloaded, tally)),
            thread_body=0,
            bare=True,
            kind="waiting",
        ),
        **usage.questions(),
        **keys.questions(),
        **_guardrail(settings, binding),
    }
    metadata.add_routes(app, slot, settings.public_url, access.desk)
    access.add_routes(app)
    health.add_routes(app, slot)
    blocks.add_routes(app, slot)
    usage.add_routes(app, slot)
    keys.add_routes(app)
    registry = metrics.registry(tally, sinks, lambda: slot.degraded)

    @app.get("/metrics", tags=["operation"], summary="Counts for Prometheus", response_class=Response)
    async def prometheus() -> Response:
        everybody = await asyncio.to_thread(slot.sibling.everybody) if slot.sibling is not None else None
        body = generate_latest(registry) if everybody is None else metrics.exposition_of_all(everybody)
        return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")

    app.openapi = openapi.document(app)  # type: ignore[method-assign]
    # A decision does not depend on where a request came from, so only the other routes read the proxy's headers.
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")  # as uvicorn has it
    rest = ProxyHeadersMiddleware(app, proxies)  # type: ignore[arg-type]
    names = {route.path: route.name for route in app.routes if isinstance(route, Route)}
    if step is not None:
        authenticate, limit = step, limit or LimitStep(settings.limits, administration, limits)
    steps = Steps(
        authenticate,
        limit,
        (decision_log,) if decision_log.enabled else (),
        step.known if step is not None else None,
        # Counts shared by all processes are in a store.
        limit.refuses if isinstance(limit, LimitStep) and limits is None else None,
    )

    def family(path: str) -> Question | None:
        return reservation(path) or access.cancellation(path)

    return Pipeline(questions, rest, names, slot, tally, settings.max_body_bytes, steps, family, threads)  # type: ignore[arg-type]


def application() -> ASGIApp:
    """The application that is served, with the settings of the environment."""
    settings = from_environment()
    app = create_app(settings)
    if not settings.cors_origins:
        return app
    # A browser first asks, without credentials, whether a page may call: only that is answered.
    return CORSMiddleware(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
    )


def _evaluations(settings: Settings, binding: Binding, desk: AccessHints) -> dict[str, Question]:
    """The evaluation endpoints, with or without metering, as the settings say."""
    known: dict[str, Any] = {"binding": binding, "desk": desk}
    if settings.evaluation == "authorize":
        charged = partial(metered_evaluation.evaluate, **known)
        each_charged = partial(metered_evaluation.evaluate_batch, **known, max_batch=settings.max_metered_batch)
        # They wait for a store.
        return {
            endpoints.EVALUATION: Question("evaluation", charged, thread_body=0, kind="waiting"),
            endpoints.EVALUATIONS: Question("evaluations", each_charged, thread_body=0, kind="waiting"),
        }
    batch = partial(evaluate_batch, **known, max_batch=settings.max_batch, max_work=settings.max_work)
    return {
        # One that presents an approval waits for a store.
        endpoints.EVALUATION: Question(
            "evaluation",
            partial(evaluate, **known),
            thread_kind=way_of,
            direct=partial(fast_evaluation.evaluate, desk=desk),
        ),
        endpoints.EVALUATIONS: Question(
            "evaluations",
            batch,
            thread_kind=way_of,
            direct=partial(
                fast_evaluation.evaluate_batch, desk=desk, max_batch=settings.max_batch, max_work=settings.max_work
            ),
        ),
    }


def _guardrail(settings: Settings, binding: Binding) -> dict[str, Question]:
    """The endpoint for LiteLLM proxies, if it is enabled."""
    if not settings.guardrail.enabled:
        return {}
    handle = Guardrail(settings.guardrail, binding)
    return {endpoints.GUARDRAIL: Question("guardrail", handle, thread_body=0, kind="texts")}


def _admission(
    settings: Settings, tally: metrics.Tally, wanted: bool, events: Sink
) -> tuple[Authentication | Insecure | None, Administration, RateLimits | None]:
    """The authentication step, if it is wanted, the policies of administration, and the rate limits."""
    try:
        administration = Administration(settings.admin_policies)
        step = authentication(settings, tally, events) if wanted else None
        return step, administration, rates(administration.snapshot, events)
    except (WrongSettings, KeyStoreError) as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None


def _load(settings: Settings, events: Sink, sibling: Sibling | None) -> Engine:
    """The engine, with the revision that the other workers answer from; if there is none, with the current files."""
    try:
        while True:
            engine = Engine.load(
                settings.policies,
                entities=settings.entities,
                state=settings.state,
                events=events,
                gate_tests=settings.gate == "tests",
                pause_gc=True,
                inspection=settings.texts.inspection(),
                begin=sibling.beginning() if sibling is not None else None,
            )
            began, engine.began = engine.began, None
            if sibling is None or sibling.started(engine.revision, began):
                break
            engine.close()
    except (ValueError, UnusableState) as error:
        log.log.error("the state cannot be used", problem=str(error))
        raise
    except InvalidPolicies as error:
        log.log.error("policies not loaded", diagnostics=[render.as_json(each) for each in error.diagnostics])
        raise
    search.prepare(engine.snapshot, engine.snapshot.world.records)
    engine.find_tenants(tenants_of(settings.tenants.tenancy()))
    engine.prices = settings.prices.prices()
    log.log.info("policies loaded", revision=engine.snapshot.revision)
    return engine


def _report(engine: Engine, registry: CollectorRegistry) -> Report:
    status = health.own_state(engine).model_dump(exclude_none=True)
    return Report(status, metrics.families(registry))


def _reload_prepared(engine: Engine, gated: bool, tally: metrics.Tally, revision: str) -> None:
    """Reloads, as the other workers have a revision ready."""
    _reloaded(tally, engine.reload(gate_tests=gated, unless=revision))


def _reloaded(tally: metrics.Tally, reload: Reload) -> None:
    tally.reload(reload.ok)
    log.reloaded(reload)
