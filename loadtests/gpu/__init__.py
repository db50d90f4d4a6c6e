"""What Verto does on a GPU, in one command that can be cut off and resumed."""
