"""How sound comes and goes. A transport knows its wire and converts; it knows no model."""
