"""What outsiders see of the log: signed checkpoints and tiles, and the witnesses that keep them honest."""
