"""The Protocols that services ask for; stores, executors and forges keep them."""
