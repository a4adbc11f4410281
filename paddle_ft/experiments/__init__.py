"""Several runs together: two or more compared, and a recipe trained with several seeds or settings."""
