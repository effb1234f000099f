"""The settings and their types. Sizes are in bytes, times in seconds.

A secret may be given directly, or as the path of a file that holds it: `page_key` or `page_key_file`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from policyengine.callers.caller import Scope
from policyengine.callers.claims import ClaimsMapping
from policyengine.callers.expected_token import ExpectedToken
from policyengine.callers.tenancy import Tenancy
from policyengine.events.sinks.webhook import secret_key
from policyengine.settings.guardrail import GuardrailSettings
from policyengine.settings.prices import PriceSettings
from policyengine.settings.texts import Texts

PREFIX = "POLICYENGINE_"
Network = IPv4Network | IPv6Network
Text = Annotated[str, Field(min_length=1)]


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an http(s) URL without query and fragment")
    return url.rstrip("/")


def _named(path: object) -> object:
    if path == "":
        # It would be the current directory.
        raise ValueError("the path is empty")
    return path


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or url != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("expected an origin, such as https://app.example, not `*`")
    return url


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class KeySettings(_Part):
    """API keys."""

    store: Text | None = Field(
        None, description="where keys are kept: a path, sqlite:///PATH, redis:// or postgresql://"
    )
    hash_key: SecretStr | None = Field(
        None, min_length=32, description="the key that hashes them; kept beside the store if not given"
    )
    hash_key_file: Path | None = Field(None, description="the file with `hash_key`")
    grace: float = Field(60.0, ge=1, description="how long keys stay good while their store cannot be read")


class Claims(_Part):
    """How the claims of a token are read."""

    scopes: Text = "scope"
    prefix: str = ""
    tenant: Text | None = None
    principal_type: Text | None = None
    principal: Text = "sub"
    groups: Text | None = None
    group_type: Text = "Group"
    attributes: dict[str, str] = {}
    agent_type: Text | None = None

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        self.mapping()
        return self

    def mapping(self) -> ClaimsMapping:
        return ClaimsMapping(**self.model_dump())


class Issuer(_Part):
    """An issuer whose tokens are accepted."""

    issuer: Text = Field(description="the exact value of `iss`")
    audiences: list[Text] = Field(min_length=1, description="the accepted values of `aud`")
    algorithms: list[Text] = Field(
        ["RS256", "ES256"], min_length=1, description="the accepted algorithms, asymmetric ones only"
    )
    types: list[Text] = Field(["at+jwt", "JWT"], min_length=1, description="the accepted values of `typ`")
    lifetime: float = Field(86_400.0, gt=0, description="the longest lifetime of a token")
    skew: float = Field(60.0, ge=0, le=300, description="the largest difference between two clocks")
    jwks: Text | None = Field(None, description="the keys: a path or an https URL; found by discovery if not given")
    fresh: float = Field(300.0, gt=0, description="how long until the keys are read again")
    grace: float = Field(3600.0, gt=0, description="how long known keys stay good while they cannot be read")
    pause: float = Field(30.0, gt=0, description="the shortest time between two readings")
    claims: Claims = Claims()

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        self.expected()
        for url in (self.issuer if self.jwks is None else self.jwks,):
            if "://" in url or self.jwks is None:
                check_remote(url)
        return self

    def expected(self) -> ExpectedToken:
        types = frozenset(each.lower().removeprefix("application/") for each in self.types)
        return ExpectedToken(
            self.issuer, frozenset(self.audiences), frozenset(self.algorithms), types, self.lifetime, self.skew
        )


def check_remote(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not parts.hostname or parts.username or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError("expected an https URL; http is for this machine only")


class Certificate(_Part):
    """A caller with a client certificate. Only the certificates listed here are accepted."""

    identity: Text = Field(description="its SPIFFE id, or a name in its subject alternative names (dns:, email:, uri:)")
    scopes: list[Scope] = Field(min_length=1)
    tenant: Text | None = None


class Tenants(_Part):
    """How the tenant of an entity is found. Needed for callers that are bound to a tenant."""

    attribute: Text | None = "tenant"
    attributes: dict[str, str] = {}
    separator: Text | None = None
    type: Text | None = "Tenant"
    context: Text | None = "tenant"
    shared: list[Text] = []

    @model_validator(mode="before")
    @classmethod
    def _one_way(cls, value: Any) -> Any:
        # A separator replaces the default attribute.
        if isinstance(value, Mapping) and "separator" in value and "attribute" not in value:
            return {**value, "attribute": None}
        return value

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        self.tenancy()
        return self

    def tenancy(self) -> Tenancy:
        return Tenancy(
            self.attribute, self.attributes or None, self.separator, self.type, self.context, frozenset(self.shared)
        )


class Limits(_Part):
    """The limits of one caller, and of one process. Each process counts separately."""

    requests: int | None = Field(
        None, gt=0, description="requests of one caller in `per` seconds; no limit if not given"
    )
    per: float = Field(60.0, gt=0)
    failures: int = Field(
        5, gt=0, description="failed attempts of one address, or with one key, in `failures_per` seconds"
    )
    failures_per: float = Field(60.0, gt=0)
    concurrency: int = Field(128, gt=0, description="requests at once in one process; more are answered 503")
    wait: float = Field(
        0.25,
        gt=0,
        description="how long a request may wait for its turn under load; then it is answered 503",
    )
    connections: int | None = Field(
        None, gt=0, description="connections of one process; if not given, the limit of open files less 128"
    )
    headers: int = Field(100, gt=0, description="headers of one request; more are answered 431")
    header_bytes: int = Field(65_536, gt=0, description="bytes of the path and the headers; more are answered 431")
    header_seconds: float = Field(15.0, gt=0, description="the time for the headers of a request to arrive; then 408")
    body_seconds: float = Field(60.0, gt=0, description="the time for its body to arrive; then 408")
    read_seconds: float = Field(
        30.0, gt=0, description="the time for a client to read what is sent; then it is cut off"
    )


class _Signed(_Part):
    """An address whose posts are signed as in Standard Webhooks."""

    url: Text
    secret: SecretStr | None = Field(None, description="whsec_ and 24 to 64 bytes in base64")
    secret_file: Path | None = Field(None, description="the file with `secret`")

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        check_remote(self.url)
        if self.secret is None and self.secret_file is None:
            raise ValueError(f"a {type(self).__name__.lower()} has a `secret` or a `secret_file`")
        if self.secret is not None:
            secret_key(self.secret.get_secret_value())
        return self


class Webhook(_Signed):
    """An address to which events are posted, signed as in Standard Webhooks."""

    url: Text = Field(description="https; http is for this machine only")
    kinds: list[Text] = Field([], description="the events to send, such as `limit` or `limit.alert`; all if none")
    queue: int = Field(1_000, gt=0, description="how many may wait; more are dropped, and counted")


class Events(_Part):
    """Where alerts, blocks, approvals and reloads are reported."""

    log: bool = Field(True, description="a line in the log for each")
    webhooks: list[Webhook] = []


class Callback(_Signed):
    """An address to which the end of a request for approval may be posted, signed as in Standard Webhooks."""

    url: Text = Field(description="the exact address that a submission names; https, or http on this machine")
    callers: list[Text] = Field([], description="the ids of the callers that may name it; all if none")
    internal: bool = Field(False, description="whether it may lead into a private network")


class ApprovalSettings(_Part):
    """Requests for approval over HTTP."""

    signing_key_file: Path | None = Field(
        None,
        description="a private key for ES256, as PEM, JWK or JWK Set; generated and kept with the state if not given",
    )
    callbacks: list[Callback] = []


class Settings(_Part):
    """The settings of one service. `loading.py` reads file and environment, and refuses unknown settings."""

    model_config = ConfigDict(validate_default=True)

    policies: Annotated[Path, BeforeValidator(_named)] = Field(description="a directory of .pol files, or one file")
    entities: Annotated[Path | None, BeforeValidator(_named)] = Field(None, description="a JSON file of entities")
    state: Text = Field(
        "memory://",
        description="where limits and sessions are kept: memory://, sqlite:///..., redis://..., postgresql://...; "
        "several workers need one that they share",
    )
    evaluation: Literal["decide", "authorize"] = Field(
        "decide",
        description="authorize: every evaluation is charged, at its estimate, to the limits that apply; decide: it is "
        "a denial if one applies, unless the caller meters",
    )
    gate: Literal["none", "tests"] = Field("none", description="what a changed bundle must pass before it answers")
    reload: bool = Field(True, description="load again when a file changes")

    insecure: bool = Field(
        False, description="answer without authentication; on a loopback address or a Unix socket only"
    )
    keys: KeySettings = KeySettings()
    issuers: list[Issuer] = []
    certificates: list[Certificate] = []
    trusted_proxies: list[Network] = Field([], description="whose X-Forwarded-For and Client-Cert headers are trusted")
    tenants: Tenants = Tenants()
    limits: Limits = Limits()
    events: Events = Events()
    approvals: ApprovalSettings = ApprovalSettings()
    texts: Texts = Texts()
    prices: PriceSettings = PriceSettings()
    guardrail: GuardrailSettings = GuardrailSettings()
    admin_policies: Annotated[Path | None, BeforeValidator(_named)] = Field(
        None, description="who may administer, as policies; the built-in ones if not given"
    )
    cors_origins: list[Annotated[str, AfterValidator(_origin)]] = Field(
        [], description="the origins of web pages that may call from a browser"
    )

    public_url: Annotated[str, AfterValidator(_base_url)] | None = Field(
        None, description="the base URL that clients use, for the metadata; derived from each request if not given"
    )
    max_body_bytes: int = Field(1 << 20, gt=0, description="a larger request body is refused with 413")
    max_batch: int = Field(10_000, gt=0, description="more evaluations in one request are refused with 413")
    max_metered_batch: int = Field(
        1_000, gt=0, description="more evaluations that are charged in one request are refused with 413"
    )
    max_work: int = Field(100_000, gt=0, description="evaluations that ask for more work are refused with 413")
    max_page: int = Field(10_000, gt=0, description="a search that finds more is answered in pages of this many")
    page_key: SecretStr = Field(
        default_factory=lambda: SecretStr(secrets.token_hex(32)),
        min_length=16,
        description="seals page tokens; all processes of a service share it; random if not given",
    )
    page_key_file: Path | None = Field(None, description="the file with `page_key`")

    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    decision_log: Literal["off", "debug", "info"] = Field(
        "debug", description="the level of the line that each decision writes"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [each.issuer for each in self.issuers]
        if len(set(names)) != len(names):
            raise ValueError("two issuers have the same name")
        identities = [each.identity for each in self.certificates]
        if len(set(identities)) != len(identities):
            raise ValueError("two certificates have the same identity")
        if self.insecure and self.has_credentials:
            raise ValueError("`insecure` and credentials exclude each other: keys, issuers and certificates")
        return self

    @property
    def has_credentials(self) -> bool:
        """Whether any kind of credential is configured."""
        return self.keys.store is not None or bool(self.issuers) or bool(self.certificates)
