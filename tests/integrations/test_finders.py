"""Finders of others: their findings come out as ours, and their failures as failures."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector

from policyengine.detect import DetectorFailed, find, registry, width
from policyengine.integrations.finders import detect_secrets, presidio

KEY = "AKIA" + "QWERTY2345ZXCVBN"


@dataclass
class Result:
    entity_type: str
    start: int
    end: int
    score: float


class Analyzer:
    """What the adapter needs of an analyzer: it finds every `Ann`."""

    def analyze(self, text: str, language: str, entities: list[str]) -> list[Result]:
        if language != "en":
            raise ValueError(text)
        at = text.find("Ann")
        return [Result("PERSON", at, at + 3, 0.85), Result("URL", 0, 1, 0.5)] if at >= 0 else []


def test_an_analyzer_of_names() -> None:
    known = registry(plugged=[presidio(Analyzer(), {"PERSON": "name"})])
    assert [(f.kind, f.start, f.end, f.score) for f in find("Hi, Ann", {"name"}, known)] == [("name", 4, 7, 0.85)]
    assert width({"name"}, known) is None


def test_an_analyzer_that_fails_is_a_detector_that_failed() -> None:
    known = registry(plugged=[presidio(Analyzer(), {"PERSON": "name"}, language="xx")])
    with pytest.raises(DetectorFailed, match="presidio"):
        find("Hi, Ann", {"name"}, known)


def test_plug_ins_of_detect_secrets() -> None:
    known = registry(plugged=[detect_secrets([AWSKeyDetector(), BasicAuthDetector()])])
    text = f"a\nkey {KEY}\nhttps://ann:t0psecret@example.com\n"
    found = {(f.kind, text[f.start : f.end]) for f in find(text, {"secret"}, known) if f.detector == "detect_secrets"}
    assert found == {("secret.aws_access_key", KEY), ("secret.basic_auth_credentials", "t0psecret")}
