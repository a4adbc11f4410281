"""One file a family: configuration, weights, tokenizer. `convert.family.families` lists this folder; nothing else does."""
