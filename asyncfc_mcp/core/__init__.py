"""The pure heart: futures, references, labels, the state tree and the scheduler.

Nothing in here awaits, reads a clock, rolls dice, logs or knows MCP. Time, ids and chance come in as arguments.
"""
