"""What the paper claims of the Transformer, measured beside a GRU with attention and itself less a part."""
