"""Everything that writes HTML: pages of comparisons and of notebooks, in one frame."""
