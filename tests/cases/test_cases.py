"""Every case on every evaluator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cases.asking import EVALUATORS, Ask
from tests.cases.case_files import Case, CaseFile, case_files

FILES = tuple(case_files())
ALL = [
    pytest.param((evaluator, file), case, id=f"{file.name}-{evaluator.__name__}-{case.name}")
    for file in FILES
    for evaluator in EVALUATORS
    for case in file.cases
]


@pytest.fixture(scope="module")
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    evaluator, file = request.param
    with evaluator(file) as asked:
        yield asked


@pytest.mark.parametrize(("ask", "case"), ALL, indirect=["ask"])
def test_case(ask: Ask, case: Case) -> None:
    found = ask(case)
    if found is not None:
        assert found == case.expected


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_names_are_unique(file: CaseFile) -> None:
    names = [case.name for case in file.cases]
    assert len(names) == len(set(names))
