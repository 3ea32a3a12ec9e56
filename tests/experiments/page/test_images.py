"""The images of a strip, and the page as a file."""

import numpy as np
import pytest
from small_pages import LAG, drawn_networks

from experiments.page import images, page
from lstm_jax.tasks.digits import digit_images
from lstm_jax.tasks.nature_show import DIGIT_OF_ROLE, DISTRACTORS, FOREST, ROLES


@pytest.mark.parametrize("role", ROLES)
def test_no_image_is_drawn_in_training_and_each_shows_its_role(role):
    tested, trained = digit_images("test"), digit_images("train")
    of_role = tested.pixels[tested.digits == DIGIT_OF_ROLE[role]]
    for image in images.images()[role]:
        assert (image == of_role).all(axis=1).any()
        assert not (image == trained.pixels).all(axis=1).any()


def test_the_question_is_half_a_dog_and_half_a_wolf():
    of = images.images()
    np.testing.assert_array_equal(of["question"], (of["dog"] + of["wolf"]) / 2)


def test_inputs_follow_the_names_and_go_through_their_images():
    of = images.images()
    found = images.inputs_of(["bear", "tree", "oak", *["pine"] * 3, "question"])
    wanted = [of["bear"][0], of["oak"][1], of["oak"][2], of["pine"][3], of["pine"][4]]
    np.testing.assert_array_equal(found[:5], wanted)
    np.testing.assert_array_equal(found[5:], [of["pine"][0], of["question"][1]])


def test_the_first_strip_is_a_show_of_that_lag():
    scene, *between, question = images.first_strip(LAG)
    assert scene in FOREST and question == images.QUESTION
    assert len(between) == LAG and set(between) <= set(DISTRACTORS)


def test_the_page_is_one_small_file_that_names_no_address():
    text = page(drawn_networks())
    assert len(text.encode()) < 1_000_000
    assert "http:" not in text and "https:" not in text
    assert "import " not in text.partition('type="module"')[2]
    assert text.count("</script>") == 2
