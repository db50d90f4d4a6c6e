"""Measurements of Verto: the engine alone, over HTTP, and beside its peers."""
