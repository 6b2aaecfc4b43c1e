"""The playground: a page that trains networks by the compiled program, in JavaScript."""
