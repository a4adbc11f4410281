"""Train in several processes. `launch` and `worker` start and end them without Paddle; the other modules run inside them."""
