"""What is mended in libraries: each with its version, the library's issue, and a test that tells when."""
