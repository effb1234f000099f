"""Personal data: what is found, and what only looks like it. Numbers are made up; their check digits hold."""

from __future__ import annotations

import ipaddress
import random

import phonenumbers
import pytest

from policyengine.detect import Vocabulary, find, registry
from policyengine.detect.personal import phone_plans
from policyengine.detect.personal.identifiers import _valid
from policyengine.detect.personal.identifiers_table import ALWAYS, CONTEXT, IDENTIFIERS, REGION, Identifier
from policyengine.detect.personal.network import plainly_global
from tests.detect.sampling import sample

KNOWN = registry(Vocabulary(regions=frozenset({"US", "GB", "DE", "FR", *(one.region for one in IDENTIFIERS)})))


def found(text: str, kind: str) -> list[str]:
    return [text[f.start : f.end] for f in find(text, {kind}, KNOWN)]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("email", "write to ann.lee+x@mail.example.co.uk, please", "ann.lee+x@mail.example.co.uk"),
        ("email", "<mailto:ann@example.com>", "ann@example.com"),
        ("email", "jürgen@müller.example.de schrieb", "jürgen@müller.example.de"),
        ("email", "'o'neil@example.ie'", "o'neil@example.ie"),
        ("email", "ann@example.com.", "ann@example.com"),
        ("phone", "call me on 0171 123 4567 tonight", "0171 123 4567"),
        ("phone", "Tel.: +49 (0)30 901820", "+49 (0)30 901820"),
        ("phone", "+1 (415) 555-2671 ext. 22", "+1 (415) 555-2671 ext. 22"),
        ("phone", "fax\n(415) 555-2671", "(415) 555-2671"),
        ("phone", "it is 415-555-2671", "415-555-2671"),
        ("phone", "Phone:\n0487 98 11 92\n", "0487 98 11 92"),
        ("credit_card", "4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("credit_card", "ann;4111111111111111.0;12/30", "4111111111111111"),
        ("credit_card", "total 4111111111111111.0.", "4111111111111111"),
        ("credit_card", "amex 3782-822463-10005.", "3782-822463-10005"),
        ("credit_card", "pay with 5555555555554444", "5555555555554444"),
        ("credit_card", "my card 4222222222222 expires", "4222222222222"),
        ("iban", "IBAN DE89 3704 0044 0532 0130 00, thanks", "DE89 3704 0044 0532 0130 00"),
        ("iban", "gb82west12345698765432", "gb82west12345698765432"),
        ("bic", "BIC: DEUTDEFF500", "DEUTDEFF500"),
        ("ip", "client 81.2.69.142 connected", "81.2.69.142"),
        ("ip", "from [2a02:8388:e00::6e2:1] port", "2a02:8388:e00::6e2:1"),
        ("mac", "ether 3c:22:fb:9a:01:7e", "3c:22:fb:9a:01:7e"),
        ("crypto_address", "send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        (
            "crypto_address.bitcoin",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 or so",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        ),
        (
            "crypto_address.ethereum",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        ),
        ("crypto_address.ripple", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
        ("national_id.us_ssn", "his SSN 078 05 1121", "078 05 1121"),
        ("national_id.us_ssn", "social security: 078.05.1121", "078.05.1121"),
        ("date_of_birth", "Date of birth: 14/01/1961", "14/01/1961"),
        ("date_of_birth", "she was born on 3 March 1971 in Ulm", "3 March 1971"),
        ("date_of_birth", "geboren am 03.12.1971", "03.12.1971"),
        ("date_of_birth", '"dob": "1961-01-14"', "1961-01-14"),
        ("street_address", "lives at 221B Baker Street, London", "221B Baker Street"),
        ("street_address", "Wohnt: Lindenstraße 12a, Ulm", "Lindenstraße 12a"),
        ("street_address", "au 12 rue de la Paix", "12 rue de la Paix"),
        ("street_address", "Calle de Alcalá 45", "Calle de Alcalá 45"),
        ("street_address", "615 Benedum Drive Apt. 9", "615 Benedum Drive Apt. 9"),
        ("domain", "see https://www.example.de/path", "www.example.de"),
        ("domain", "at example.com now", "example.com"),
        ("national_id", "SSN 123-45-6789", "123-45-6789"),
        ("national_id.us_driver_license", "her driver's license number is U62928788557186", "U62928788557186"),
        ("national_id.xx_passport", "Passport no. C01X00T47 is none, passport C4387654 is", "C4387654"),
    ],
)
def test_found_whole(kind: str, text: str, value: str) -> None:
    assert value in found(text, kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "the @decorator and a@b and user@localhost"),
        ("email", "logo@2x.png and x@y.py"),
        ("email", "https://ann:pass@example.com/x"),
        ("phone", "it took 1234567 steps, or 12345678.5"),
        ("phone", "on 2024-01-31 12:30:45"),
        ("phone", "version 2024.10.31.1200"),
        ("phone", "Decimal('+35236450.6')"),
        ("credit_card", "x4111111111111111"),
        ("credit_card", "4111 1111 1111 1112"),
        ("credit_card", "order 501864667909 shipped"),
        ("credit_card", "1.4111111111111111"),
        ("credit_card", "4111111111111111.05"),
        ("credit_card", "4111111111111111.0.1"),
        ("credit_card", "0000000000000000"),
        ("iban", "DE89 3704 0044 0532 0130 01"),
        ("iban", "GB12 is a road"),
        ("ip", "127.0.0.1 and 0.0.0.0 and 192.0.2.1 and 2001:db8::1"),
        ("ip", 'the mask 0.0.0.255, the network 10.0.0.0/8 or 192.168.0.0, and HTML sections "8.2.4.44"'),
        ("email", "the locale ks_IN@devanagari.UTF-8"),
        ("ip", "section 8.2.4.4, OID 1.3.6.1.5.5.7.3.1, version 2.10.0.12"),
        ("ip", "std::vector a[1::2] and 12:30:45"),
        ("mac", "00:00:00:00:00:00 and 12:30:45:12:30:45:99"),
        ("crypto_address", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
        ("date_of_birth", "released on 14/01/1961, born to run"),
        ("street_address", "2 Close Calls On The Way"),
        ("domain", "ann@example.com and log.info and a.network"),
        ("national_id", "000-12-3456 and 666-12-3456"),
        ("national_id", "the original sin, a pan of 12345678 beans"),
    ],
)
def test_not_found(kind: str, text: str) -> None:
    assert not found(text, kind)


@pytest.mark.parametrize("one", IDENTIFIERS, ids=lambda one: f"{one.kind}:{one.pattern[:20]}")
def test_identifiers_are_found_by_their_word_and_where_they_count_without(one: Identifier) -> None:
    value = valid(one)
    if one.words:
        spoken = f"{one.words[0].replace('?', 'ü').title()}: {value}."
        assert value in found(spoken, one.kind), spoken
    if one.without != CONTEXT:
        assert value in found(f"it is {value}, no?", one.kind)
    assert one.where.startswith("https://")


# Those of which a thousand made up at random hold none: the examples that documents of python-stdnum show.
EXAMPLES = {
    "national_id.fi_hetu": "131052-308T",
    "national_id.cn_ric": "360426199101010071",
    "national_id.mx_curp": "BOXW310820HNERXN09",
    "national_id.it_codice_fiscale": "RCCMNL83S18D969H",
    "national_id.za_idnr": "7503305044089",
    "national_id.se_personnummer": "880320-0016",
}


def valid(one: Identifier) -> str:
    if one.kind in EXAMPLES:
        return EXAMPLES[one.kind]
    rng = random.Random(one.kind + one.pattern)
    for _ in range(5_000):
        value = sample(one.pattern, rng)
        if _valid(one, value):
            return value
    raise AssertionError(one)


def test_there_are_identifiers_of_at_least_30_countries() -> None:
    assert {one.without for one in IDENTIFIERS} == {ALWAYS, REGION, CONTEXT}
    assert len({one.region for one in IDENTIFIERS} - {"XX"}) >= 30
    assert len({one.region for one in IDENTIFIERS if one.without == ALWAYS}) >= 15


def test_regions_say_whose_numbers_count_without_a_word() -> None:
    text = "tel 0 and 030 901820 or 12345678Z"
    spain = registry(Vocabulary(regions=frozenset({"ES"})))
    assert [f.kind for f in find(text, {"national_id"}, spain)] == ["national_id.es_dni"]
    assert not find(text, {"national_id"}, registry(Vocabulary(regions=frozenset({"US"}))))


def test_languages_say_whose_addresses_and_births_are_found() -> None:
    text = "Lindenstrasse 12, 12 rue de la Paix, 12 Main Street; geboren 3.4.1971, born 3.4.1972"
    kinds = {"street_address", "date_of_birth"}

    def found(languages: set[str] | None) -> set[str]:
        words = Vocabulary(languages=None if languages is None else frozenset(languages))
        return {text[f.start : f.end] for f in find(text, kinds, registry(words))}

    german, english = {"Lindenstrasse 12", "3.4.1971"}, {"12 Main Street", "3.4.1972"}
    assert found({"de"}) == german
    assert found({"en"}) == english
    assert found(None) == german | english | {"12 rue de la Paix"}
    with pytest.raises(ValueError, match="none of the languages"):
        registry(Vocabulary(languages=frozenset({"xx"})))


def test_a_number_that_is_not_parsed_is_valid_nowhere() -> None:
    rng = random.Random(17)
    parsed = 0
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number(region)
        nsn = phonenumbers.national_significant_number(example)
        for digits in (nsn, nsn[:-1] + str(rng.randrange(10)), nsn[1:], nsn + "0", str(rng.randrange(10**7, 10**9))):
            for number, where in (
                (f"+{example.country_code} {digits}", None),
                (f"+{example.country_code}0{digits}", None),
                (f"0{digits}", region),
                (digits, region),
                (f"{example.country_code}{digits}", region),
            ):
                assert phone_plans.valid(number, where) == phone_plans._is(number, where)
                parsed += phone_plans._may_be(number, where)
    assert parsed < 0.9 * 25 * len(phonenumbers.SUPPORTED_REGIONS)


def test_an_address_that_is_plainly_global_is_so_for_the_library() -> None:
    rng = random.Random(7)
    for first in range(256):
        for _ in range(40):
            rest = (rng.choice((0, 1, 2, 88, 168, 255, rng.randrange(256))) for _ in range(3))
            address = ipaddress.IPv4Address(".".join(map(str, (first, *rest))))
            if plainly_global(str(address).encode()):
                assert address.is_global
                assert not any((address.is_multicast, address.is_reserved, address.is_private))
    assert plainly_global(b"8.8.8.8")


@pytest.mark.parametrize("value", ["8.8.8.256", "8.8.08.8", "8.8.8", "8.8.8.8.8", "08.8.8.8", "8.8..8", "8.8.8.0008"])
def test_what_is_no_address_is_not_plainly_global(value: str) -> None:
    with pytest.raises(ValueError, match="address"):
        ipaddress.ip_address(value)
    assert not plainly_global(value.encode())
