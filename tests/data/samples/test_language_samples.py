"""Test that the samples for language models are reproducible and suit their tasks, and that their splits do not overlap."""

import pytest

from paddle_ft.data.samples import film_reviews, stories


@pytest.mark.parametrize("module", [film_reviews, stories])
def test_rows_are_the_same_every_time_and_differ_by_seed_and_split(module):
    for split, size in module.SIZES.items():
        rows = module.rows(split)
        assert len(rows) == size
        assert rows == module.rows(split)
        assert rows != module.rows(split, seed=1)
    texts = [{row["text"] for row in module.rows(split)} for split in module.SIZES]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])


def test_film_reviews_are_balanced_and_about_films_of_their_split():
    from paddle_ft.data.samples import reviews

    for split in film_reviews.SIZES:
        rows = film_reviews.rows(split)
        assert sum(row["label"] == "positive" for row in rows) == len(rows) / 2
        others = {title for other in film_reviews.SIZES if other != split for title in reviews.titles_of(other)}
        for row in rows:
            assert row["text"].count(" .") >= 4
            assert not any(title in row["text"] for title in others)


def test_stories_end_as_their_genre_does():
    for row in stories.rows("validation"):
        genre = stories.GENRES[row["genres"].split(",")[0]]
        assert any(end in row["text"] for end in genre.ends)
        assert any(thing in row["text"] for thing in genre.things)
        assert row["title"]
        assert row["author"]
