"""From the files of a checkpoint to a model on its device."""
