"""From what must be true of a document to the query language of the store that holds the documents."""
