"""The kill switch: who and what is blocked, whatever the policies say.

In: a list of blocks. Out: a snapshot that denies them at every entry point, and is otherwise the one that it was made
of. Pure; `state/known_blocks.py` keeps the list up to date.

| file | job |
|---|---|
| `block.py` | what a block is, and how people write one |
| `denylist.py` | the list that a node decides with: whom it stops |
| `evaluator.py` | an evaluator behind the list |
"""
