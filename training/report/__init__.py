"""An evaluation shown: as JSON, as text, as a table for a terminal, and as one page of HTML."""
