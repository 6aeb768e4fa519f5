"""Contract suites for stores, blobs and executors; third parties run them too."""
