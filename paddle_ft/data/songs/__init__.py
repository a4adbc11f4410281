"""Song texts: find the songs in files, cells and web pages, and clean them."""
