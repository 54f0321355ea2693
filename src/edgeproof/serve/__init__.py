"""The HTTP service: one front process that admits and answers, worker processes that decode and infer.

The front never decodes a picture and loads no runtime, so nothing that a picture or a network does can take it
down. What a request can cost is known from its header, before it is let in.
"""
