"""Scripts of this repository: what checks it and what writes its generated pages. They are not shipped."""
