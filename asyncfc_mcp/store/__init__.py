"""Where futures are kept that a client holds a token of, so that they outlive the call, and later the process."""
