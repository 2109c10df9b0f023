"""The kernels on other processors than this one's: built by cross compilers, run by emulators."""
