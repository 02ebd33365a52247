"""Dictionary files: labels of one SAE in the formats of Loupe and of others, read with every problem named, compared, written."""
