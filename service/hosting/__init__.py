"""Bundles that come and go while the server runs. Knows engines and memory; knows no HTTP."""
