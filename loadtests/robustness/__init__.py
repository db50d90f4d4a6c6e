"""What everyday text does to a model: pieces to copy, small letters, capitals, a stop that is missing."""
