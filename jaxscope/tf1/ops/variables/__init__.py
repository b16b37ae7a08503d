"""Variables as objects, scopes, collections, initializers."""
