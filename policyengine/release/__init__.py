"""What may leave, and what may come in: texts to findings, to a decision, to what is left of the text.

In: a text or a stream of chunks, who asks, and what is known of it. Out: what may go on, with everything done to it
that the policies order, and an account that shows no value. Rules decide; finders only find; what cannot be looked at
or carried out does not go.

| file | job |
|---|---|
| `text_needs.py` | what rules read of a text, so that nothing else is looked for |
| `inspection.py` | how texts are looked at in one deployment |
| `content.py`, `scanning.py` | text and JSON as segments; findings in them, as rules read them |
| `text_runs.py`, `split_values.py` | which texts of a value are one; what is split over texts that are not |
| `treatment.py`, `edits.py`, `tokenizing.py` | what is ordered, and what it writes in the place of what was found |
| `detokenizing.py` | tokenized values given back |
| `sources.py` | documents on their way from retrieval to the release of what draws on them |
| `carry_out.py`, `release_check.py` | orders carried out; a check before and after its decision |
| `text_stream.py`, `chunk_stream.py`, `deltas.py`, `release_stream.py` | the same, for what comes in pieces |
| `stream_watch.py` | what rules that cut a stream learn of it |
| `validity.py`, `classifiers.py` | what an output has to be; scores of others |
| `service.py` | the half of an engine that does it |
"""
