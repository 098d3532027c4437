"""The gateway as a Python library, for people who write their own loop; see docs/python-api.md.

What is public is exported by `asyncfc_mcp` itself; where it stands in here may change.
"""
