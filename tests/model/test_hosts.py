"""Hosts and mail domains: one spelling for one host, and no answer where two readers could disagree."""

from __future__ import annotations

import pytest

from policyengine.model.operators import email_domain, url_host
from policyengine.model.values import Fault


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Docs.Example.com:443/a?b#c", "docs.example.com"),
        ("https://docs.example.com./", "docs.example.com"),
        ("http://127.0.0.1/", "127.0.0.1"),
        ("http://[::1]:80/", "::1"),
        ("http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
        ("http://a1.b2/", "a1.b2"),
    ],
)
def test_host(url: str, host: str) -> None:
    assert url_host(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "docs.example.com",
        "//docs.example.com",
        "mailto:ann@example.com",
        "https://docs.example.com@evil.test/",
        "https://docs.example.com\\@evil.test/",
        "https://docs.ex\tample.com/",
        "https://docs%2eexample.com/",
        "https://ｄocs.example.com/",
        # WHATWG readers take these for addresses, others for names.
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.0.0.1./",
        "http://①②⑦.0.0.1/",
        "http://256.1.1.1/",
        "http:///evil.test/",
        "https:docs.example.com",
        "http://docs.example.com;evil.test/",
        "blob:http://docs.example.com/",
    ],
)
def test_no_plain_host(url: str) -> None:
    with pytest.raises(Fault):
        url_host(url)


def test_mail_domain() -> None:
    assert email_domain("ann+1@Example.com") == "example.com"


@pytest.mark.parametrize(
    "address",
    [
        "example.com",
        "@example.com",
        "a%evil.test@example.com",
        "evil.test!a@example.com",
        "=?utf-8?q?a=40evil.test=2c?=@example.com",
        "a@b@example.com",
        '"a@b"@example.com',
        "a@[10.0.0.1]",
        "a@example.com ",
        "a@example.com.",
    ],
)
def test_no_plain_address(address: str) -> None:
    with pytest.raises(Fault):
        email_domain(address)
