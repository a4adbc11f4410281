"""Make the environment: the lock files, `install.py` that installs them, `lock.py` that renews them."""
