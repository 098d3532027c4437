"""`python -m asyncfc_mcp` is the `asyncfc-mcp` command."""

from asyncfc_mcp.cli.main import main

main()
