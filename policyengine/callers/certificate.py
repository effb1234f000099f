"""The identity in a client certificate.

Whoever accepted the connection has verified the certificate: this process, or a trusted proxy that reports it in the
headers of RFC 9440. Here it is only read. Never raises for what a certificate or a header holds.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

MOST_BYTES = 16 << 10
# A byte sequence of a structured field (RFC 8941, section 3.3.5).
_BYTES = re.compile(rb":([A-Za-z0-9+/]+={0,2}):")


def identities(certificate: bytes, now: float) -> frozenset[str]:
    """The names in a certificate (DER), each with its kind: `uri:`, `dns:`, `email:`; a SPIFFE id stands for itself.

    Empty for what is not a certificate, is not good now, or is not for clients. A certificate has at most one SPIFFE
    id; one with several says nothing (SPIFFE X.509-SVID, section 2)."""
    try:
        certified = x509.load_der_x509_certificate(certificate)
        begins, ends = certified.not_valid_before_utc.timestamp(), certified.not_valid_after_utc.timestamp()
        if not begins <= now < ends or not _is_for_clients(certified):
            return frozenset()
        names = frozenset(_names(certified))
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return frozenset()
    spiffe = {name for name in names if name.startswith("spiffe://")}
    return names if len(spiffe) <= 1 else frozenset()


def from_header(value: bytes) -> bytes | None:
    """The certificate in a `Client-Cert` header (RFC 9440), or None."""
    encoded = _BYTES.fullmatch(value)
    if encoded is None or len(value) > MOST_BYTES:
        return None
    try:
        return b64decode(encoded[1], validate=True)
    except binascii.Error:
        return None


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _names(certificate: x509.Certificate) -> Iterator[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        yield uri if uri.startswith("spiffe://") else f"uri:{uri}"
    for dns in names.get_values_for_type(x509.DNSName):
        yield f"dns:{dns.lower()}"
    for email in names.get_values_for_type(x509.RFC822Name):
        yield f"email:{email}"
