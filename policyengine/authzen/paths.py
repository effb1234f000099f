"""Where each question is asked: POST, below the base URL of a service."""

from __future__ import annotations

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
FILTER = "/v1/filter"
SEARCH_SUBJECT = "/access/v1/search/subject"
SEARCH_RESOURCE = "/access/v1/search/resource"
SEARCH_ACTION = "/access/v1/search/action"
