"""What the user asked for: the file, the environment and the flags, read once and frozen."""
