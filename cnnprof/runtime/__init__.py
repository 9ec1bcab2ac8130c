"""What runs a network in PyTorch; the only package, besides `module()` of the kinds, that imports torch."""
