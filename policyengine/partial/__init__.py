"""What remains of policies when only part of a request is known: what must be true of the rest."""
