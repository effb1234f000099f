# Who may ask the OPA server, for `--authorization=basic`: whoever has the token.
package system.authz

import rego.v1

default allow := false

allow if input.path == ["health"]

allow if input.identity == opa.runtime().env.BENCH_TOKEN
