"""Who asks: callers of the decision service, what they may ask for, and about whom.

In: what a request says of its sender (an `Authorization` header, a certificate, an address). Out: a `Caller`, or a
refusal that tells an attacker nothing. Decides nothing about policies; knows neither HTTP's framework nor the terminal.

| file | job |
|---|---|
| `caller.py` | the caller of a request, and the scopes that open endpoints to it |
| `refusal.py` | the answer to a caller that is turned away |
| `api_key.py` | the text of an API key: made, recognised, hashed |
| `keys.py` | what is known of a key, and what may be done with it |
| `stores/` | where keys are kept |
| `keyring.py` | the keys that are good right now, in the memory of a process |
| `token.py`, `key_set.py`, `issuers.py` | a signed token to its claims; the keys of an issuer, fetched |
| `certificate.py` | a client certificate to the names in it |
| `claims.py` | the claims of a token to its caller |
| `authenticate.py` | all of these put together: credentials to a caller |
| `binding.py`, `tenancy.py` | what a request may say, given its caller: of the principal, and of tenants |
| `tenant_reach.py` | whether what is shown may hold something of another tenant |
| `local.py` | whether a host is this machine |
| `throttle.py` | counting failed attempts, and requests, in bounded memory |

Never: a credential in a message, a log line or a store; a caller out of something that could not be checked.
"""
