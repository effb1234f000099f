"""What may leave, and what may come in: from a text to findings, to a decision, to what remains of the text.

In: a text or a stream of chunks, the principal, and what is known of the text. Out: what may pass, with every change
that the policies order, and an account that shows no value. Rules decide; finders only find; what cannot be inspected
or carried out does not pass.

| file | job |
|---|---|
| `text_needs.py` | what rules read of a text, so that nothing else is searched for |
| `inspection.py` | how texts are inspected in one deployment |
| `content.py`, `scanning.py` | text and JSON as segments; findings in them, as rules read them |
| `text_runs.py`, `split_values.py` | which texts of a value are one; values that are split over texts that are not |
| `treatment.py`, `edits.py`, `tokenizing.py` | what is ordered, and what replaces the findings |
| `detokenizing.py` | gives tokenized values back |
| `sources.py` | documents on their way from retrieval to the release of texts that draw on them |
| `carry_out.py`, `release_check.py` | carries out orders; a check before and after its decision |
| `text_stream.py`, `chunk_stream.py`, `deltas.py`, `release_stream.py` | the same, for streams |
| `stream_watch.py` | what rules that cut a stream see of it |
| `validity.py`, `classifiers.py` | whether an output is valid; scores of external classifiers |
| `service.py` | the half of an engine for texts |
"""
