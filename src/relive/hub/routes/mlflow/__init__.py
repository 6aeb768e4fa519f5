"""MLflow's REST routes, behind one table: a group of calls a module, joined in `calls`."""
