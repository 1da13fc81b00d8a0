"""Calls over the telephone network: who may call, which persona answers, and calls that are made."""
