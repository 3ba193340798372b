"""Following a training that still writes checkpoints: each is measured once it is whole."""
