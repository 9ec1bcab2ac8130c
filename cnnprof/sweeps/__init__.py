"""One spec, many arguments."""
