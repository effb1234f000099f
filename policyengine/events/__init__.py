"""What people and other systems are told of: an alert, a block, an approval that waits, policies that did not load.

In: an Event, which holds names and counts and never a secret or a value of a request. Out: a line, a signed request, a
count. Telling never holds up, changes or fails what it tells of: a sink returns at once and raises nothing.

| file | job |
|---|---|
| `event.py` | what an event is |
| `sink.py` | what a sink is, and telling several at once |
| `sinks/` | a line in the log, a webhook, counts |
"""
