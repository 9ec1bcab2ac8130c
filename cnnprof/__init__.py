"""cnnprof: exact parameters, multiply-accumulates and memory of a convolutional network, from a YAML file."""
