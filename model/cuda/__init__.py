"""Decoding on a GPU: steps as captured graphs, several of them ahead of the search."""
