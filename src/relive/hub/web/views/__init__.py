"""What pages show, as frozen structs: every decision is made here, so that templates only loop and ask."""
