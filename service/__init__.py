"""The HTTP server: from a request's text to its translation. Imports `model` only."""
