"""The YAML language: text to graph and back."""
