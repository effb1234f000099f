"""What one text, file or stream may take, and that a tenant has its own words."""

from __future__ import annotations

import io
import json
import socket
import zlib
from pathlib import Path

import pytest
from pydantic import ValidationError
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, StreamObject

from policyengine import Engine
from policyengine.release.uploads import File, open_file
from policyengine.settings.texts import Texts
from tests.server.serving import serving

RULES = """
module bounds
use ai
permit all_of_it: release on Output for User
require scrub: release on Output redact(["phone", "project", "email"])
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}


def pdf(content: bytes, form: StreamObject | None = None) -> bytes:
    writer = PdfWriter()
    page = writer.add_blank_page(100, 100)
    stream = DecodedStreamObject()
    stream.set_data(content)
    page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    if form is not None:
        forms = DictionaryObject({NameObject("/F"): writer._add_object(form)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): forms})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def drawing(content: bytes) -> StreamObject:
    form = StreamObject()
    form._data = zlib.compress(content)
    form[NameObject("/Subtype")] = NameObject("/Form")
    form[NameObject("/Filter")] = NameObject("/FlateDecode")
    return form


@pytest.mark.parametrize(
    "data",
    [
        pdf(b"q Q\n" * 3_000_000),  # 12 MB that pack to a few kB
        pdf(b"/F Do\n", drawing(b"q Q\n" * 3_000_000)),
        pdf(b"q Q\n" * 600_000, drawing(b"q Q\n")),  # 1.2 million operators
    ],
    ids=["page", "form", "operators"],
)
def test_a_pdf_that_takes_too_much_is_not_scannable(data: bytes) -> None:
    assert len(data) < 200_000
    opened = open_file(File("a.pdf", data))
    assert (opened.scannable, opened.texts) == (False, ())


def test_an_ordinary_pdf_is_read() -> None:
    opened = open_file(File("a.pdf", pdf(b"q Q\n", drawing(b"q Q\n"))))
    assert opened.scannable


def test_a_tenant_has_its_own_words_and_regions() -> None:
    texts = Texts.model_validate({
        "words": {"project": ["Bluebird"]}, "regions": ["US"],
        "tenants": {"acme": {"words": {"project": ["Redwood"]}, "regions": ["FR"], "allowed": ["desk@acme.fr"]}},
    })  # fmt: skip
    engine = Engine.from_text(RULES, inspection=texts.inspection())
    text = "Bluebird and Redwood, desk@acme.fr"
    assert (
        engine.release(text, principal=ANN, output={"tenant": "acme"}).text == "[project] and [project], desk@acme.fr"
    )
    assert engine.release(text, principal=ANN, output={"tenant": "globex"}).text == "[project] and Redwood, [email]"
    for number, tenant in (("01 42 68 53 00", "acme"), ("202-555-0143", "globex")):
        other = {"acme": "globex", "globex": "acme"}[tenant]
        assert engine.release(number, principal=ANN, output={"tenant": tenant}).text == "[phone]"
        assert engine.release(number, principal=ANN, output={"tenant": other}).text == number
    with pytest.raises(ValidationError):
        Texts.model_validate({"tenants": {"acme": {"patterns": [{"kind": "x", "regex": "("}]}}})


def test_a_stream_that_never_ends_is_ended(tmp_path: Path) -> None:
    (tmp_path / "bounds.pol").write_text(RULES)
    subject = {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": []}}
    events = [json.dumps({"subject": subject}), *[json.dumps("word " * 100)] * 20]
    body = "".join(f"data: {one}\n\n" for one in events).encode()
    with serving(tmp_path, texts={"stream_seconds": 4, "words": {"project": ["Redwood"]}}) as client:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        with socket.create_connection((host, port), timeout=30) as connection:
            head = f"POST /v1/release HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: text/event-stream\r\n"
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n")
            # And nothing more: the answer ends by itself.
            answer = b""
            while b"not_released" not in answer and (part := connection.recv(65_536)):
                answer += part
            while b"seconds" not in answer and (part := connection.recv(65_536)):
                answer += part
    assert b"word word" in answer
    assert b"a stream may take at most 4 seconds" in answer


def test_headers_say_what_became_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "bounds.pol").write_text(RULES)
    subject = {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": []}}
    with serving(tmp_path, texts={"words": {"project": ["Redwood"]}}) as client:
        answer = client.post("/v1/release", json={"subject": subject, "text": "bob@acme.com and eve@acme.com"})
    assert answer.headers["x-policyengine-released"] == "true"
    assert answer.headers["x-policyengine-findings"] == "email=2"
