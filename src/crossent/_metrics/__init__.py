"""What `crossent.metrics` names: scores of predictions, and how far probabilities hold."""
