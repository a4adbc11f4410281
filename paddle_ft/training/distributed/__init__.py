"""Training in several processes. launch and worker start and end them and import no Paddle; the rest runs in them."""
