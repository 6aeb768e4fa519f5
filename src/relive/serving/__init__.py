"""One model version behind the Open Inference Protocol, and the router before them."""
