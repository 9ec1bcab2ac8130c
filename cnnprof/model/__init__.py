"""What a network is: layer kinds' contract, windows, the graph and its memory layout, metrics."""
