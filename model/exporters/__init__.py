"""Writes a bundle's network and tokenizer in the formats of other programs."""
