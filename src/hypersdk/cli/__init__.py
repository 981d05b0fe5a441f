"""Commands: parse, call a flow, print. One file per command."""
