"""What a note says, from its blocks: models, items, papers, routes, figures."""
