from dashboard.feature_view import BANDS, RANKINGS, View
from loaders.token_ranking import RANKINGS as MEASURES


def test_a_view_comes_back_from_its_own_url():
    view = View(scale="log", text="whole", band="80-99", rank="lift", unit="bigram", column="kind")
    assert View.read(view.query(), ["module", "kind"]) == view


def test_the_default_view_leaves_the_url_bare():
    assert View().query() == {}


def test_nonsense_in_a_url_falls_back_to_the_default():
    assert View.read({"scale": "<script>", "band": "5-7", "column": "no such", "other": "1"}, ["kind"]) == View()


def test_bands_cover_the_whole_population_of_firing_samples():
    edges = [edge for band in BANDS.values() if band for edge in band]
    assert edges[0] == 0.0
    assert edges[1:-1:2] == edges[2::2]
    assert BANDS["top"] is None


def test_every_ranking_is_one_that_the_store_knows():
    assert tuple(RANKINGS) == MEASURES
