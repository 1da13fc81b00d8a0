"""What the caller says, read by a second model from the codes that Mimi makes for PersonaPlex anyway."""
