"""From raw downloads to the corpora that a recipe names: fetch, read, clean, keep test texts out, write."""
