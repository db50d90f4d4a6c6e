"""Training steps of Verto beside those of Joey NMT and the Hugging Face Trainer, in turn."""
