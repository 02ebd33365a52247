import numpy as np

from analysis.common_samples import common_samples, strongest_common
from loaders.protocol import FeatureActivations


def activations(values):
    samples = np.array(sorted(values), np.uint32)
    return FeatureActivations(samples, np.array([values[sample] for sample in samples], np.float32))


def test_common_samples_carry_both_activations():
    common = common_samples(activations({1: 0.5, 4: 2.0, 9: 1.0}), activations({0: 1.0, 4: 3.0, 9: 4.0, 11: 1.0}))
    assert common.samples.tolist() == [4, 9]
    assert common.first.tolist() == [2.0, 1.0] and common.second.tolist() == [3.0, 4.0]


def test_features_that_never_fire_together_have_nothing_in_common():
    common = common_samples(activations({1: 0.5}), activations({2: 0.5}))
    assert strongest_common(common, np.empty(0, np.int64), 5).tolist() == []


def test_a_sample_is_as_strong_as_the_weaker_feature_on_it():
    common = common_samples(activations({0: 10.0, 1: 6.0, 2: 1.0}), activations({0: 0.1, 1: 0.6, 2: 1.0}))
    # shares of the largest value: (1, 0.1), (0.6, 0.6), (0.1, 1)
    assert strongest_common(common, np.array([0, 1, 2]), 3).tolist() == [1, 0, 2]


def test_each_context_appears_once_with_its_strongest_sample():
    both = activations({0: 1.0, 1: 3.0, 2: 2.0, 7: 0.5})
    common = common_samples(both, both)
    assert strongest_common(common, np.array([0, 0, 1, 2]), 2).tolist() == [1, 2]
