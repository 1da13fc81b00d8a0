"""The voices a caller can choose: the catalogue, files dropped in, and recordings users gave. No torch."""
