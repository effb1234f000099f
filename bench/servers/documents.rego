# W1 for the OPA server: `allow` for one request, `batch` for many in one input.
package documents

import rego.v1

default allow := false

allow if decide(input)

batch := [allowed |
	some request in input.requests
	allowed := decide(request)
]

decide(request) if {
	request.action == "retrieve"
	request.resource.type == "Document"
	permit(request.principal, request.resource)
	not forbid(request.principal, request.resource)
} else := false

permit(principal, document) if {
	document.tenant == principal.tenant
	document.classification <= principal.clearance
}

permit(principal, document) if document.owner == principal.id

forbid(principal, document) if {
	"legal_hold" in document.labels
	not "legal" in principal.groups
}

forbid(principal, document) if document.tenant != principal.tenant
