"""Load rows from files, collections and generated samples, and group them into batches."""
