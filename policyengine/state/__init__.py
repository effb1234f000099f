"""What remembers: meters, reservations, sessions.

In: a snapshot, a request, and what the store said. Out: one operation for the store, and from its outcome a Grant.

    request ──▶ charges.charges ──▶ operations.Commit ──▶ store ──▶ outcomes.Outcome ──▶ grant.Grant
                                         │                 │
                                         └─ apply.apply ◀──┘   what an operation does to the documents it names

`apply` is pure: an operation, the documents it names and the time give the documents to write and the outcome. A store
reads the documents, calls `apply` and writes them back in one atomic step; a store that has a language of its own says
the same there, and one conformance suite is asked of all. Time is the store's own, read after its lock.

Amounts are integers: a millionth of whatever the policy counts. Times are integers too: microseconds since 1970.
"""
