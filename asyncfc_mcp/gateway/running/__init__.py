"""The shell round the scheduler: calls at work on their servers."""
