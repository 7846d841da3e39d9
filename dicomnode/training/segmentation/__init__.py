"""The segmenter: what it learns from, its network, and how it learns. Needs PyTorch."""
