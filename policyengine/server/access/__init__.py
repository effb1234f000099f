"""Requests for approval over HTTP: the OpenID AuthZEN Access Request and Approval profile (draft 1), and a page.

| file | job |
|---|---|
| `signing.py` | the keys of a service, what it signs with them, and whether something is signed by it |
| `binding_hash.py` | the digest that ties a submission to the evaluation that was denied |
| `request_hints.py` | what a denial says of how to ask, and what an approval changes about an evaluation |
| `submission.py` | the access request endpoint |
| `task_status.py` | what has become of a request, and its cancellation |
| `callback.py` | telling whoever asked of the end |
| `approval_page.py`, `html.py` | the page for those who approve |
"""
