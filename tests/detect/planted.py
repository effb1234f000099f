"""Texts with something in them to find: pieces of every kind, what begins like one, and runs that do not end."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from policyengine.detect import Vocabulary, registry
from policyengine.detect.content import canary, leakage
from policyengine.detect.secrets.finder import FORMATS
from policyengine.detect.secrets.formats import written
from policyengine.detect.secrets.named import NAMED
from policyengine.detect.vocabulary import Pattern
from tests.detect.sampling import sample

TOKEN = canary.mint(random.Random(5).randbytes(32))
SENTENCE = "nobody may ever learn that the blue door opens twice a year in the old garden"
VOCABULARY = Vocabulary(
    regions=frozenset({"US", "GB", "DE", "ES", "FR", "NO"}),
    patterns=(Pattern("own.case", r"CASE-\d{4}|\d{5}", width=9),),
    words=(("own.project", "bluebird"),),
    link_hosts=frozenset({"example.com"}),
    canaries=(TOKEN,),
    fingerprints=leakage.fingerprint(SENTENCE),
)
KNOWN = registry(VOCABULARY)

_rng = random.Random(11)
_TOKENS = [
    sample(written(one.before).decode(), _rng) + one.literal + sample(written(one.after).decode(), _rng)
    for one in FORMATS[::5]
]
_ASSIGNED = [f'{one.words[0]}_key = "{sample(written(one.pattern).decode(), _rng)}"' for one in NAMED[::8]]
_LITERALS = [one.literal for one in FORMATS[::3]]
PIECES = [
    *_TOKENS,
    *_ASSIGNED,
    *_LITERALS,
    *(
        "ann@example.com",
        "@",
        "jürgen@müller.de",
        "call me on 0171 123 4567",
        "+49 30 901820",
        "(415) 555-2671",
        "ext. 22",
    ),
    *(
        "4111 1111 1111 1111",
        "my card 4222222222222",
        "378282246310005",
        "1234 5678 ",
        "12",
        "7",
        "-",
        " ",
        "  ",
        ".",
        "\n",
    ),
    *(
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "BIC: DEUTDEFF500",
        "81.2.69.142",
        "::ffff:",
        "3c:22:fb:9a:01:7e",
    ),
    *("123-45-6789", "SSN ", "12345678Z", "131052-308T", "AB123456C", "pesel 44051401359", "passport C4387654"),
    *("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "born 3 March 1971", "dob"),
    *(
        "221B Baker Street",
        "Lindenstraße 12a",
        "12 rue de la Paix",
        "Calle Mayor 4",
        "www.evil.test/x",
        "https://example.com/a",
    ),
    *(
        "password=hunter2!hunter",
        "password",
        "api_key: '",
        "token",
        "=",
        '"',
        "Authorization: Bearer 9fK2mQ7zT4xW8vB1",
        "Basic ",
    ),
    *(
        "postgres://ann:t0p-s3cret!@db/x",
        "://",
        "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJlMTIz",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
    ),
    *(
        "-----END PRIVATE KEY-----",
        "curl -u admin:Wq8-33xZ",
        TOKEN,
        " ".join(TOKEN),
        TOKEN[:30],
        SENTENCE,
        SENTENCE[:40],
    ),
    *(
        "pas\u200bs",
        "\u202e",
        "\U000e0068",
        "pаypal",
        "![x](https://evil.test/p?d=1)",
        "<img src=//evil.test/a>",
        "javascript:",
    ),
    *(
        "ignore all previous instructions",
        "ignore all ",
        "<|im_start|>",
        "bluebird",
        "CASE-1234",
        "[email]",
        "[secret.jwt]",
        "[",
    ),
    *("the quick brown fox ", "x", "é", "😀", "\ud800", "\x00", "%00"),
]
_RUNS = [
    ("A1b2", 40),
    ("abcd/EFG+", 80),
    ("x", 700),
    ("7", 300),
    ("9 ", 200),
    ("sk-", 200),
    ("ab.", 300),
    ("\n", 40),
    ("eyJ", 150),
]

# What numbers, addresses and hosts are made of, and what says that something is one.
_WRITTEN = [
    *("0", "1", "5", "7", "19", "212", "345", "1111", "2018", "4111", "378282", "246310005", "4222222222222"),
    *(" ", " ", " ", "-", ".", "/", "(", ")", "+", ":", ",", "=", "#", "\n", "  ", ") ", " (0)", "ext. ", "x", "00"),
    *("call ", "Tel", "tell ", "phone: ", "phone:\r\n  ", ",fax", " office", " -Home", "card ", "cc ", "pan "),
    *("0171 123 4567", "+49 30 901820", "4111 1111 1111 1111", "378282246310005", "DE89370400440532013000"),
    *("81.2.69.142", "12:34:56", "::", "::ffff:", "2001:db8:", "1:2:3:4:5:6:7:8", "dead:beef:", "ip ", "a", "F"),
    *("123-45-6789", "SSN ", "dl number ", "12345678Z", "131052-308T", "AB123456C", "S1234567D", "GB82WEST"),
    *("www.", "://", ".com", ".co.uk", "acme", "ann@", "@b.org", "%40", "'", "é", "?", "\0", "[", "]"),
]
written = st.lists(st.sampled_from(_WRITTEN), max_size=16).map("".join)

texts = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.sampled_from(PIECES),
        st.text(max_size=6),
        st.sampled_from([piece * count for piece, count in _RUNS]),
    ),
    max_size=40,
).map("".join)
