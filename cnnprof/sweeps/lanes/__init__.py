"""All candidates of one structure at once."""
