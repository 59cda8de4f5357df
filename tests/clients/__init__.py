"""The C programs of c_examples/clients/, each against the real server that its library is made for."""
