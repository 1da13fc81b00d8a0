"""The words of callers whose engine hears none: recognised besides the call, in threads of their own."""
