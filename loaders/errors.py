"""Every error that a person may read: one sentence with what was wanted, what was found and the remedy."""


class LoupeError(Exception):
    """Base of all errors whose message is meant for the user; commands print it and exit with 2."""


class BadInput(LoupeError):
    """An argument, a file or a setting that cannot be used as it is."""


class StoreNotFound(LoupeError):
    """No finished store, dataset, SAE or layer match stands under that id."""


class StoreDamaged(LoupeError):
    """A file that the manifest lists is missing, has another size or another checksum."""


class SourceUnavailable(LoupeError):
    """Another server or an object store does not answer, or not with what was asked for."""


class FeatureNotFound(LoupeError):
    """The feature id is outside of the SAE's features."""

    def __init__(self, feature_id: int, features: int, store: str = "this store") -> None:
        super().__init__(f"Feature {feature_id} does not exist: {store} has features 0 to {features - 1}.")
        self.feature_id = feature_id


class TableMissing(LoupeError):
    """A table that has not been computed (yet); pages show it as 'still being computed'."""

    def __init__(self, store: str, table: str) -> None:
        super().__init__(f"Store '{store}' has no table '{table}' yet. Run `loupe {table}` or wait for the pipeline.")
        self.table = table
