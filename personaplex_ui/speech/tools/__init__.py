"""HTTP tools of the operator, for a language model to call. Nothing that a caller says names an address."""
