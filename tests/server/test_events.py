"""A service tells of events where its settings say, and counts them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Receiver

from policyengine.callers import api_key
from policyengine.settings.as_toml import shown
from policyengine.settings.event_sinks import telling
from policyengine.settings.loading import WrongSettings, load
from policyengine.settings.model import Events, Webhook
from tests.events.test_webhook import SECRET, receiving
from tests.server.serving import serving
from tests.support.key_file import Store

POLICIES = "module p\nuse ai\npermit all: invoke on Model\n"


def _metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_a_reload_reaches_the_webhook_and_the_metrics(tmp_path: Path) -> None:
    file = tmp_path / "p.pol"
    file.write_text(POLICIES)
    with receiving() as taken:
        events = Events(webhooks=[Webhook(url=taken.url, secret=SecretStr(SECRET))])
        with serving(tmp_path, reload=True, events=events) as client:
            file.write_text(POLICIES + "nonsense\n")
            taken.wait()
            headers, content = taken.arrived[0]
            assert Receiver(SECRET).verify(content, headers)["type"] == "policies.refused"
            assert _metric(client, 'policyengine_events_total{kind="policies.refused"}') == 1
            assert _metric(client, 'policyengine_webhook_events_total{outcome="full"}') == 0


def test_a_failed_attempt_is_told_without_the_secret_and_not_without_end(tmp_path: Path) -> None:
    made = Store(tmp_path)
    good, wrong = made.new("admin"), api_key.new(made.new().id)
    (tmp_path / "p.pol").write_text(POLICIES)
    with receiving() as taken:
        events = Events(webhooks=[Webhook(url=taken.url, secret=SecretStr(SECRET), kinds=("caller",))])
        settings = {"keys": made.settings, "limits": {"failures": 3}, "events": events}
        with serving(tmp_path / "p.pol", **settings) as client:
            for _ in range(8):
                client.get("/readyz", headers={"Authorization": f"Bearer {wrong.text}"})
            taken.wait()
            headers, content = taken.arrived[0]
            told = Receiver(SECRET).verify(content, headers)
            client.headers["Authorization"] = f"Bearer {good.text}"
            assert _metric(client, 'policyengine_events_total{kind="caller.refused"}') == 3
    assert told["type"] == "caller.refused"
    assert {**told["data"], "tenant": ""} == {
        "tenant": "", "address": "127.0.0.1", "key": wrong.id, "credentials": True,
    }  # fmt: skip
    assert wrong.text[19:].encode() not in content


def test_the_secret_may_stand_in_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    config = tmp_path / "c.toml"
    config.write_text(
        f'policies = "p"\n[[events.webhooks]]\nurl = "https://x.example"\nsecret_file = "{tmp_path}/secret"\n'
    )
    settings = load(config=config, environment={})
    assert settings.events.webhooks[0].secret == SecretStr(SECRET)
    assert SECRET not in shown(settings)
    assert len(telling(settings.events).webhooks) == 1


@pytest.mark.parametrize(
    ("webhook", "problem"),
    [
        ({"url": "https://x.example"}, "a `secret` or a `secret_file`"),
        ({"url": "http://x.example", "secret": SECRET}, "https"),
        ({"url": "https://x.example", "secret": "whsec_" + b64encode(b"short").decode()}, "24 to 64 bytes"),
        ({"url": "https://x.example", "secret_file": "{tmp}/wrong"}, "24 to 64 bytes"),
        ({"url": "https://x.example", "secret": SECRET, "kind": "limit"}, "did you mean `kinds`"),
    ],
)
def test_a_webhook_that_could_not_be_trusted_is_refused(webhook: dict[str, Any], problem: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("whsec_AAAA")
    config = tmp_path / "c.toml"
    lines = [f"{name} = {str(value).replace('{tmp}', str(tmp_path))!r}" for name, value in webhook.items()]
    config.write_text('policies = "p"\n[[events.webhooks]]\n' + "\n".join(lines).replace('"', "'") + "\n")
    with pytest.raises(WrongSettings, match=problem):
        load(config=config, environment={})
