"""A feature is one person's at a time, for as long as they show a sign of life; blind ones are two people's, unseen."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from catalog.catalog import Catalog
from catalog.errors import NotThere, UnderReview
from catalog.label_text import Edit
from catalog.labels import get_label, history, put_label, put_labels
from catalog.queue import Claim, claim_next, claims_of, is_double_blind, release_claim, renew_claim
from catalog.reviews import adjudicate, is_under_review, review_of, reviews_of, submit_blind
from loaders.errors import BadInput

PRINT = "f00d"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def take(catalog: Catalog, person: str, candidates: list[int], after: int = 0, share: float = 0.0) -> Claim | None:
    return claim_next(catalog, PRINT, candidates, person, blind_share=share, now=NOON + after * MINUTE)


def feature(claim: Claim | None) -> int | None:
    return claim.feature_id if claim else None


def blind(catalog: Catalog, person: str, name: str, feature_id: int = 5, category: str = "") -> None:
    claim = claim_next(catalog, PRINT, [feature_id], person, blind_share=1.0)
    assert claim is not None and claim.is_blind
    submit_blind(catalog, "sae", PRINT, feature_id, person, name, category=category)


def test_two_people_get_different_features_the_most_valuable_first(catalog: Catalog) -> None:
    assert feature(take(catalog, "ada", [5, 3, 9])) == 5
    assert feature(take(catalog, "bob", [5, 3, 9])) == 3
    assert [(claim.feature_id, claim.person) for claim in claims_of(catalog, PRINT, NOON)] == [(3, "bob"), (5, "ada")]
    assert take(catalog, "eve", [5, 3]) is None


def test_a_person_keeps_the_feature_they_have(catalog: Catalog) -> None:
    take(catalog, "ada", [5, 3, 9])
    again = take(catalog, "ada", [3, 9, 5], after=10)
    assert again is not None
    assert (again.feature_id, again.claimed_at, again.expires_at) == (5, NOON, NOON + 40 * MINUTE)
    assert feature(take(catalog, "ada", [3, 9], after=11)) == 3  # the other one has a label by now


def test_a_claim_without_a_sign_of_life_ends(catalog: Catalog) -> None:
    take(catalog, "ada", [5])
    assert renew_claim(catalog, PRINT, 5, "ada", now=NOON + 20 * MINUTE)
    assert take(catalog, "bob", [5], after=49) is None
    assert claims_of(catalog, PRINT, NOON + 50 * MINUTE) == []
    assert not renew_claim(catalog, PRINT, 5, "ada", now=NOON + 50 * MINUTE)
    assert feature(take(catalog, "bob", [5], after=50)) == 5
    assert not renew_claim(catalog, PRINT, 5, "ada", now=NOON + 51 * MINUTE)


def test_a_released_feature_is_free_at_once(catalog: Catalog) -> None:
    take(catalog, "ada", [5])
    release_claim(catalog, PRINT, 5, "bob")
    assert take(catalog, "bob", [5]) is None
    release_claim(catalog, PRINT, 5, "ada")
    assert feature(take(catalog, "bob", [5])) == 5


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_eight_people_at_once_never_share_more_than_they_should(catalog: Catalog, share: float) -> None:
    found: list[int | None] = []
    threads = [
        threading.Thread(target=lambda i=i: found.append(feature(take(catalog, f"p{i}", list(range(6)), share=share))))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    taken = [each for each in found if each is not None]
    assert all(taken.count(each) <= (2 if share else 1) for each in taken)
    assert len(taken) == (8 if share else 6)


def test_the_double_blind_share_is_even_and_always_the_same(catalog: Catalog) -> None:
    small, large = ({f for f in range(4000) if is_double_blind(PRINT, f, share)} for share in (0.1, 0.3))
    assert small < large
    assert 300 < len(small) < 500 and 1100 < len(large) < 1300
    assert small != {f for f in range(4000) if is_double_blind("beef", f, 0.1)}
    assert not any(is_double_blind(PRINT, f, 0.0) for f in range(100))
    assert all(is_double_blind(PRINT, f, 1.0) for f in range(100))


def test_a_blind_feature_is_for_two_different_people_and_no_third(catalog: Catalog) -> None:
    first = take(catalog, "ada", [5, 6], share=1.0)
    assert first is not None and first.is_blind and first.feature_id == 5
    submit_blind(catalog, "sae", PRINT, 5, "ada", "trees")
    assert feature(take(catalog, "ada", [5])) is None  # not twice the same person
    second = take(catalog, "bob", [5])  # still blind, whatever the share is now
    assert second is not None and second.is_blind
    assert take(catalog, "eve", [5]) is None


def test_neither_sees_the_others_words_until_both_are_in(catalog: Catalog) -> None:
    blind(catalog, "ada", "trees")
    waiting = review_of(catalog, PRINT, 5, "bob")
    assert waiting is not None and (waiting.state, waiting.labels) == ("waiting", [])
    own = review_of(catalog, PRINT, 5, "ada")
    assert own is not None and [label.name for label in own.labels] == ["trees"]
    assert reviews_of(catalog, PRINT)[0].labels == []
    assert get_label(catalog, PRINT, 5) is None
    blind(catalog, "bob", "graphs")
    both = review_of(catalog, PRINT, 5, "ada")
    assert both is not None and both.state == "differs"
    assert [(label.person, label.name) for label in both.labels] == [("ada", "trees"), ("bob", "graphs")]


def test_two_who_agree_make_the_label(catalog: Catalog) -> None:
    blind(catalog, "ada", "Trees", category="plants")
    blind(catalog, "bob", "trees ", category="plants")
    label = get_label(catalog, PRINT, 5)
    assert label is not None
    assert (label.name, label.category, label.author, label.version) == ("Trees", "plants", "ada", 1)
    review = review_of(catalog, PRINT, 5, "eve")
    assert review is not None and review.state == "decided" and review.verdict is not None
    assert (review.verdict.outcome, review.verdict.person, review.verdict.label_version) == ("agreed", "bob", 1)
    assert claims_of(catalog, PRINT) == []


def test_where_two_differ_a_third_decides_once(catalog: Catalog) -> None:
    put_label(catalog, "sae", PRINT, 5, "a guess", "", "eve", None)
    blind(catalog, "ada", "trees")
    with pytest.raises(NotThere, match="nothing to decide on feature 5"):
        adjudicate(catalog, PRINT, 5, "eve", "trees")
    blind(catalog, "bob", "trees", category="plants")
    assert [review.feature_id for review in reviews_of(catalog, PRINT, "differs")] == [5]
    with pytest.raises(BadInput, match="'bob' is one of the two who differ"):
        adjudicate(catalog, PRINT, 5, "bob", "trees")
    decided = adjudicate(catalog, PRINT, 5, "eve", "syntax trees", category="structure")
    assert (decided.name, decided.author, decided.version, decided.replaces) == ("syntax trees", "eve", 2, 1)
    assert [label.name for label in history(catalog, PRINT, 5)] == ["syntax trees", "a guess"]
    with pytest.raises(NotThere, match="nothing to decide"):
        adjudicate(catalog, PRINT, 5, "eve", "others")
    assert reviews_of(catalog, PRINT, "differs") == []


def test_a_blind_label_is_said_once_by_whoever_claimed_the_feature(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match="Feature 5 is not claimed"):
        submit_blind(catalog, "sae", PRINT, 5, "ada", "trees")
    claim_next(catalog, PRINT, [4], "ada")
    with pytest.raises(BadInput, match="Feature 4 is no double-blind one"):
        submit_blind(catalog, "sae", PRINT, 4, "ada", "trees")
    blind(catalog, "ada", "trees")
    assert submit_blind(catalog, "sae", PRINT, 5, "ada", "trees").state == "waiting"  # a retry
    with pytest.raises(BadInput, match="You have spoken on feature 5"):
        submit_blind(catalog, "sae", PRINT, 5, "ada", "graphs")
    with pytest.raises(BadInput, match="A blind label needs a name"):
        submit_blind(catalog, "sae", PRINT, 5, "bob", " ")


def test_words_that_come_after_the_claim_ended_are_taken_while_the_place_is_free(catalog: Catalog) -> None:
    blind(catalog, "ada", "trees")
    submit_blind(catalog, "sae", PRINT, 5, "bob", "trees")  # bob's claim ended long ago, and nobody took the place
    assert get_label(catalog, PRINT, 5) is not None
    with pytest.raises(BadInput, match="Two others have feature 5 by now"):
        submit_blind(catalog, "sae", PRINT, 5, "eve", "roots")


def test_two_blind_labels_in_one_moment_are_both_kept_and_judged(catalog: Catalog) -> None:
    for round_number in range(5):
        for person in ("ada", "bob"):
            claim_next(catalog, PRINT, [round_number], person, blind_share=1.0)
        said: list[str] = []

        def speak(person: str, feature_id: int = round_number, said: list[str] = said) -> None:
            while True:
                try:
                    said.append(submit_blind(catalog, "sae", PRINT, feature_id, person, "trees").state)
                    return
                except BadInput as error:
                    assert "send yours again" in str(error)  # noqa: PT017

        threads = [threading.Thread(target=speak, args=(person,)) for person in ("ada", "bob")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(said) == 2
        review = review_of(catalog, PRINT, round_number, "eve")
        assert review is not None and review.state == "decided"


def test_a_double_blind_feature_is_labelled_openly_by_nobody_before_it_is_decided(catalog: Catalog) -> None:
    def save(person: str, name: str = "seen") -> None:
        put_label(catalog, "sae", PRINT, 5, name, "", person, None)

    assert claim_next(catalog, PRINT, [5], "ada", blind_share=1.0) is not None
    for person in ("ada", "bob"):
        with pytest.raises(UnderReview, match="Feature 5 is labelled double-blind"):
            save(person)
    submit_blind(catalog, "sae", PRINT, 5, "ada", "oak")
    with pytest.raises(UnderReview):
        put_labels(catalog, [Edit("sae", PRINT, f, "bulk", "", "ada", None) for f in (4, 5)])
    assert get_label(catalog, PRINT, 4) is None
    assert is_under_review(catalog, PRINT, 5) and not is_under_review(catalog, PRINT, 4)
    submit_blind(catalog, "sae", PRINT, 5, "bob", "elm")
    with pytest.raises(UnderReview):
        save("eve")
    adjudicate(catalog, PRINT, 5, "eve", "ash")
    assert [label.name for label in history(catalog, PRINT, 5)] == ["ash"]
    assert not is_under_review(catalog, PRINT, 5)
    put_label(catalog, "sae", PRINT, 5, "ash tree", "", "ada", 1)


def test_a_blind_claim_that_ended_keeps_nobody_out(catalog: Catalog) -> None:
    take(catalog, "ada", [5], share=1.0)  # long ago
    put_label(catalog, "sae", PRINT, 5, "oak", "", "bob", None)


def test_a_claim_ends_with_the_label_whoever_saves_it_and_however(catalog: Catalog) -> None:
    for feature_id in (5, 6):
        assert claim_next(catalog, PRINT, [feature_id], "ada") is not None
        assert claim_next(catalog, "beef", [feature_id], "ada") is not None
    put_labels(catalog, [Edit("sae", PRINT, 5, "oak", "", "bob", None)])
    assert [claim.feature_id for claim in claims_of(catalog, PRINT)] == [6]
    assert len(claims_of(catalog, "beef")) == 2
