"""Label packs for well-known servers: one data file each, and their reader."""
