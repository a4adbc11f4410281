"""Scores and the intervals around them: ROUGE, BLEU, the lead baseline, classification, perplexity. No paddle here."""
