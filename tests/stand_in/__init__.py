"""A device that is not the processor, for machines without a GPU."""
