"""What users see while servers behind a balancer are replaced, killed, paused and flooded."""
