"""The network on a processor's own instructions: kernels in C++, and what builds and calls them."""
