"""Everything that writes HTML: pages of comparisons and of notebooks, and slides, in one frame."""
