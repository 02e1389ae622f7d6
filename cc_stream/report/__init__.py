"""The batch report: the same numbers as the stream, computed plainly from all events.

It is a product for those who have files, and the oracle that the stream is held against. It shares
with the stream what an event counts for (`admit` for topics, `contributions`, `tally`) and how
figures are read, and nothing else: no change of a log, no pane, no running sum, no shard.

| step | module |
|---|---|
| files or topics to decoded events | `files`, `topic` |
| events to complete logs | `collect` |
| logs to numbers by row and moment, and their sums | `book` |
| entities and windows to lines of metrics | `lines`, `periods` |
| lines to JSON, CSV or a table | `write` |
| what is live against the same sums | `oracle`, `compare`, `live` |
| all of it for the command line | `command` |
"""
