"""Where rows come from, how they become token ids, how those become batches."""
