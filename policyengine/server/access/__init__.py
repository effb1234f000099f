"""Requests for approval over HTTP: the OpenID AuthZEN Access Request and Approval profile (draft 1), and a page.

| file | job |
|---|---|
| `signing.py` | the keys of a service: signing, and verifying its own signatures |
| `binding_hash.py` | the digest that ties a submission to the evaluation that was denied |
| `request_hints.py` | how a denial says how to ask, and how an approval changes an evaluation |
| `submission.py` | the access request endpoint |
| `task_status.py` | the status of a request, and its cancellation |
| `callback.py` | notifying the requester of the end |
| `approval_page.py`, `html.py` | the page for those who approve |
"""
