"""Running notebooks as reports: parameters, engine, batch, HTML and the command line."""
