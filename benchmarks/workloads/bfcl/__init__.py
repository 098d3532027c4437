"""BFCL multi-turn: the ground-truth programs of the package `bfcl-eval` on its own eight backends."""
