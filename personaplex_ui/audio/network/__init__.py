"""Sound that arrives as packets over a network: reordered, concealed, measured. No I/O."""
