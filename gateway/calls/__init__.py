"""One message and its reply: what is declared, admitted, run, refused and streamed."""
