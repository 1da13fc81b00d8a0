"""The ways by which a call comes in. A channel knows its wire and converts; it knows no model."""
