"""Load on a Verto server as its users make it, what becomes of it, and what two runs say together."""
