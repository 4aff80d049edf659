"""What crossent costs beside its peers: `make bench`."""
