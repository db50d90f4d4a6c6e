"""The `verto` command, one module per subcommand. Imports the other packages; none of them imports it."""
