"""Networks to hold the Transformer against, trained by the same trainer. No server loads them."""
