"""Log lines: JSON for machines or text for people, on standard error.

Standard library loggers, uvicorn's among them, write the same lines. A decision's line names entities, rules and the
outcome; it never shows an attribute of the request.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO, cast

import structlog

from policyengine.diagnostics import render
from policyengine.model.decision import Trial
from policyengine.server.failsafe_stream import FailsafeStream
from policyengine.server.record import DecisionRecord
from policyengine.state.reloads import Reload

Level = Literal["debug", "info", "warning", "error"]

log = structlog.get_logger("policyengine.server")
# All lines go here; a line that cannot be written fails nothing.
output = FailsafeStream(lambda: sys.stderr)


def configure(form: Literal["json", "console"], level: Level) -> None:
    """Set up every logger of the process. Calling it again replaces what it set up before."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if form == "json" else _unchanged,
    ]
    last: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=output.isatty())
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", output)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # A line for each request costs more than the decision in it, and says less than the decision's own line. uvicorn
    # formats the line for any logger that has handlers, whatever its level.
    logging.getLogger("uvicorn.access").propagate = level == "debug"
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def _unchanged(_: Any, __: str, event: Any) -> Any:
    return event


class DecisionLog:
    """One line for each decision at `level`, if the process writes that level at all."""

    def __init__(self, level: Literal["off", "debug", "info"], process_level: Level) -> None:
        levels = logging.getLevelNamesMapping()
        self.enabled = level != "off" and levels[level.upper()] >= levels[process_level.upper()]
        self._level = "info" if level == "info" else "debug"

    def __call__(self, made: Iterable[DecisionRecord]) -> None:
        write = log.info if self._level == "info" else log.debug
        for each in made:
            request, decision = each.request, each.decision
            action = request["action"]
            write(
                "decision",
                decision=decision.decision,
                determining=decision.determining,
                principal=_name(request["principal"]),
                action=action if isinstance(action, str) else action["name"],
                resource=_name(request["resource"]),
                obligations=[obligation.type for obligation in decision.obligations],
                errors=[f"{error.rule}: {error.code}" for error in decision.errors],
                **({"tried": [_trial(trial) for trial in decision.tried]} if decision.tried else {}),
                revision=decision.revision,
                request_id=each.request_id,
                milliseconds=round(each.seconds * 1000, 3),
            )


def reloaded(reload: Reload) -> None:
    """One line for each attempt to load changed policies; a failed one carries its diagnostics."""
    if reload.ok:
        anew = {"meters_anew": reload.meters_anew} if reload.meters_anew else {}
        log.info("policies loaded", revision=reload.revision, **anew)
    else:
        diagnostics = [render.as_json(each) for each in reload.diagnostics]
        since = {"since": reload.since.isoformat(timespec="seconds")} if reload.since is not None else {}
        log.error(
            "policies not loaded, the last good ones stay in force",
            revision=reload.revision,
            diagnostics=diagnostics,
            **since,
        )


def _trial(trial: Trial) -> str:
    """What a rule on trial would have done, in a word."""
    if trial.error is not None:
        return f"{trial.rule}: {trial.error.code}"
    return f"{trial.rule}: {trial.decision if trial.changes else 'nothing'}"


def _name(entity: dict[str, Any]) -> dict[str, str]:
    return {"type": entity["type"], "id": entity["id"]}
