"""What Verto is measured against."""
