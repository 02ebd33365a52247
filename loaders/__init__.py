"""READ: immutable stores of SAE features, datasets and layer matches."""
