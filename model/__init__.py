"""The translation network, its tokenizer, its bundle format and its decoding. Imports no sibling package."""
