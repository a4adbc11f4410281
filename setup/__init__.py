"""Set up the environment: the lock files, install.py, which installs them, and lock.py, which updates them."""
