"""Every case on every evaluator. One test asks all cases of a file, so that an evaluator starts once for them."""

from __future__ import annotations

import pytest

from tests.cases.case_files import CaseFile, case_files
from tests.cases.evaluators import EVALUATORS, Evaluator

FILES = tuple(case_files())


@pytest.mark.parametrize("evaluator", EVALUATORS, ids=lambda evaluator: evaluator.__name__)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_cases(file: CaseFile, evaluator: Evaluator) -> None:
    wrong = []
    with evaluator(file) as ask:
        for case in file.cases:
            found = ask(case)
            if found is not None and found != case.expected:
                wrong.append(f"{file.name}: {case.name}\n  expected {case.expected}\n  found    {found}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_names_are_unique(file: CaseFile) -> None:
    names = [case.name for case in file.cases]
    assert len(names) == len(set(names))
