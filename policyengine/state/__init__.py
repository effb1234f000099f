"""State: meters, reservations, sessions.

In: a snapshot, a request, and the store's answers. Out: one operation for the store, and from its outcome a Grant.

    request ──▶ charges.charges ──▶ operations.Commit ──▶ store ──▶ outcomes.Outcome ──▶ grant.Grant
                                         │                 │
                                         └─ apply.apply ◀──┘   what an operation does to the documents it names

`apply` is pure: an operation, the documents it names and the time give the documents to write and the outcome. A store
reads the documents, calls `apply` and writes them back in one atomic step; a store with a language of its own
implements the same there, and one conformance suite tests all stores. Time is the store's own, read after its lock.

Amounts are integers: millionths of what the policy counts. Times are integers too: microseconds since 1970.
"""
