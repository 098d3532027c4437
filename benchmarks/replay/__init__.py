"""Programs played by scripted models, with a gateway between model and servers and without."""
