"""How many servers a load needs, and what it meets while they come and go: simulated from measured times."""
