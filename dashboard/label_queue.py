"""The queue, for the page and for programs: whoever asks takes the most valuable feature without a label, or skips one."""

from catalog.queue import Claim, claim_next, claims_of, release_claim
from catalog.settings import get_setting, put_setting
from dashboard.context import author, catalog
from dashboard.known_labels import known_labels
from dashboard.labelling import BLIND_SHARE, by_value
from loaders.errors import BadInput
from loaders.store import Store


def take_next(store: Store) -> Claim | None:
    """The most valuable feature without a label that is free, claimed; None where none is."""
    return _claim(store, by_value(store, known_labels(store)))


def take_after(store: Store, skipped: int) -> Claim | None:
    """Give a feature back and take the one that follows it in the queue; behind the last one the first."""
    waiting = [f for f in by_value(store, known_labels(store)) if f != skipped]
    after = by_value(store, [])
    rest = set(after[after.index(skipped) + 1 :]) if skipped in after else set()
    ordered = [f for f in waiting if f in rest] + [f for f in waiting if f not in rest]
    release_claim(catalog(), store.sae_fingerprint, skipped, author())
    return _claim(store, ordered)


def own_claim(store: Store, feature: int, person: str) -> Claim | None:
    """The live claim of this person on a feature."""
    claims = claims_of(catalog(), store.sae_fingerprint)
    return next((each for each in claims if each.feature_id == feature and each.person == person.strip()), None)


def blind_share(store: Store) -> float:
    """The share of the SAE's features that are double-blind, 0 to 1."""
    return float(get_setting(catalog(), f"{BLIND_SHARE} {store.sae_fingerprint}") or 0)


def set_blind_share(store: Store, share: float) -> None:
    """Keep another share; that an admin asks is for the caller to see to. Raises BadInput."""
    if not 0 <= share <= 1:
        raise BadInput(f"The double-blind share is 0 to 100 per cent: found {100 * share:g}.")
    put_setting(catalog(), f"{BLIND_SHARE} {store.sae_fingerprint}", repr(float(share)))


def _claim(store: Store, candidates: list[int]) -> Claim | None:
    return claim_next(catalog(), store.sae_fingerprint, candidates, author(), blind_share=blind_share(store))
