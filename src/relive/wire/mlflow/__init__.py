"""Messages of MLflow's REST protocol; names and types are MLflow's.

Unknown fields are ignored, as MLflow's own server does.
"""
