"""What a step costs, as a formula of rows, lengths and vocabulary, and where the formula does not hold."""
