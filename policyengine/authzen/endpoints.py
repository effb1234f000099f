"""The path of each endpoint, below the base URL of a service. The method is POST."""

from __future__ import annotations

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
FILTER = "/v1/filter"
EXPLAIN = "/v1/explain"
SEARCH_SUBJECT = "/access/v1/search/subject"
SEARCH_RESOURCE = "/access/v1/search/resource"
SEARCH_ACTION = "/access/v1/search/action"

# Endpoints with state: a decision that is recorded, and what becomes of it.
AUTHORIZE = "/v1/authorize"
AUTHORIZATIONS = "/v1/authorizations"
SESSIONS = "/v1/sessions"
RESULTS = "/v1/results"
RELEASE = "/v1/release"
ADMIT = "/v1/admit"
DETOKENIZE = "/v1/detokenize"
# The path that a LiteLLM proxy calls: its generic guardrail API.
GUARDRAIL = "/beta/litellm_basic_guardrail_api"
BLOCK = "/v1/block"
UNBLOCK = "/v1/unblock"
RELOAD = "/v1/admin/reload"
VOID = "/v1/admin/void"
KEYS = "/v1/admin/keys"  # and below it rotate, revoke, check
USAGE = "/v1/usage"  # and below it reset, credit, raise, changes
# Requests for a person's approval: the OpenID AuthZEN Access Request and Approval profile.
ACCESS_REQUESTS = "/access/v1/requests"  # and below it {id}, {id}/cancel
JWKS = "/access/v1/jwks"
RESERVATIONS = "/v1/reservations/"  # {id}/settle, {id}/renew, {id}/cancel
