"""What a run over many clips is built from: pairing, worker processes, a journal."""
