"""What running calls ask of their users, and whom that is put to."""
