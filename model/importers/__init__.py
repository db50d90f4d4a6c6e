"""Reads models of other programs and writes them as bundles."""
