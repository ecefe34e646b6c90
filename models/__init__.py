"""Networks and algorithms: a torch library that knows no web server, queue or database."""
