"""The PersonaPlex engine. The only folder that imports torch and moshi."""
