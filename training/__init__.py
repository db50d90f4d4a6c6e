"""Offline training: from sentence pairs to a bundle. Imports `model` only."""
