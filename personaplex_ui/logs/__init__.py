"""The log: its formats, the call a record belongs to, and a limit on records that strangers can cause."""
