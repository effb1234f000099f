"""Settings about texts: what to look for beside the built-in kinds, and the key for hashes and tokens."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from policyengine.detect.content import leakage
from policyengine.detect.registry import registry
from policyengine.detect.vocabulary import LONGEST_PATTERN, Pattern, Vocabulary
from policyengine.release.classifiers import HttpClassifier
from policyengine.release.inspection import MOST, Inspection
from policyengine.release.tokenizing import KEY_BYTES
from policyengine.settings import canaries as remembered

Text = Annotated[str, Field(min_length=1)]
# 32 bytes in base64.
LEAST_KEY = 43


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class OwnPattern(_Part):
    """A custom expression. `width` is its longest match, in characters, with the surroundings that it needs to see."""

    kind: Text
    regex: Text = Field(description="RE2")
    score: float = Field(0.9, ge=0, le=1)
    width: int = Field(LONGEST_PATTERN, gt=0)


class OfTenant(_Part):
    """What is looked for in the texts of one tenant. Its regions, languages and hosts replace everybody's; its
    patterns, words, canaries, protected texts and allowed values are added to everybody's."""

    regions: list[Text] | None = None
    languages: list[Text] | None = None
    patterns: list[OwnPattern] = []
    words: dict[str, list[Text]] = {}
    allowed: list[Text] = []
    link_hosts: list[Text] | None = None
    canaries: list[SecretStr] = []
    protected: list[Path] = []


EVERYBODY = OfTenant()


class Texts(_Part):
    """How texts are checked when they are released or admitted."""

    key: SecretStr | None = Field(
        None, min_length=LEAST_KEY, description="32, 48 or 64 random bytes in base64, for `hash` and `tokenize`"
    )
    key_file: Path | None = Field(None, description="the file with `key`")
    most: int = Field(MOST, gt=0, description="longer texts, in characters, are denied")
    seconds: float = Field(2.0, gt=0, le=60, description="how long to wait for classifiers")
    classifiers: dict[str, Text] = Field({}, description="URLs that answer a text with a score, by name")
    regions: list[Text] = Field(
        ["US", "GB"], description="the countries of the telephone numbers and identifiers to look for"
    )
    languages: list[Text] | None = Field(
        None, description="the languages of the street addresses and dates of birth to look for; all if not given"
    )
    patterns: list[OwnPattern] = []
    words: dict[str, list[Text]] = Field({}, description="words to always find, by kind")
    allowed: list[Text] = Field([], description="values to ignore")
    link_hosts: list[Text] | None = Field(
        None, description="links to any other host are found; if not given, no links are"
    )
    canaries: list[SecretStr] = Field([], description="tokens that `canary.mint` made")
    canary_file: Path | None = Field(None, description="the file of `policyengine canary`")
    protected: list[Path] = Field([], description="files with texts that must not leak, such as system prompts")
    tenants: dict[str, OfTenant] = Field({}, description="what one tenant has in addition or instead, by its id")
    stream_seconds: float = Field(600.0, gt=0, description="a stream that takes longer is ended")

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.key is not None:
            secret(self.key)
        registry(self.vocabulary())
        for tenant in self.tenants.values():
            registry(self.vocabulary(tenant))
        return self

    def vocabulary(self, tenant: OfTenant = EVERYBODY) -> Vocabulary:
        """What to look for in everybody's texts, or in those of one tenant."""
        planted = () if self.canary_file is None else remembered.read(self.canary_file)
        hosts = self.link_hosts if tenant.link_hosts is None else tenant.link_hosts
        languages = self.languages if tenant.languages is None else tenant.languages
        words = (*self.words.items(), *tenant.words.items())
        return Vocabulary(
            regions=frozenset(self.regions if tenant.regions is None else tenant.regions),
            languages=None if languages is None else frozenset(languages),
            patterns=tuple(
                Pattern(one.kind, one.regex, one.score, one.width) for one in (*self.patterns, *tenant.patterns)
            ),
            words=tuple((kind, word) for kind, those in words for word in those),
            allowed=frozenset((*self.allowed, *tenant.allowed)),
            link_hosts=None if hosts is None else frozenset(hosts),
            canaries=(
                *(one.get_secret_value() for one in (*self.canaries, *tenant.canaries)),
                *(one.token for one in planted),
            ),
            fingerprints=frozenset().union(*map(_marks, (*self.protected, *tenant.protected))),
        )

    def inspection(self) -> Inspection:
        return Inspection(
            finders=registry(self.vocabulary()),
            tenants={id_: registry(self.vocabulary(tenant)) for id_, tenant in self.tenants.items()},
            classifiers={name: HttpClassifier(url, seconds=self.seconds) for name, url in self.classifiers.items()},
            seconds=self.seconds,
            key=None if self.key is None else secret(self.key),
            most=self.most,
        )


def _marks(path: Path) -> frozenset[int]:
    """The fingerprint of a protected text. Raises ValueError if the file cannot be read or is too short."""
    try:
        marks = leakage.fingerprint(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{path} cannot be read") from None
    if not marks:
        raise ValueError(f"{path} has fewer than {leakage.WORDS} words")
    return marks


def secret(key: SecretStr) -> bytes:
    """The bytes of a key. Raises ValueError."""
    try:
        key_bytes = base64.b64decode(key.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        key_bytes = b""
    if len(key_bytes) not in KEY_BYTES:
        raise ValueError("a key is 32, 48 or 64 bytes in base64")
    return key_bytes
