"""The layer kinds: one file per kind, or per family that shares one arithmetic rule."""
