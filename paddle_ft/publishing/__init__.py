"""Publish the model of a run on a model hub, through the hubs' own SDKs.

`publish` decides what is uploaded and in which order things happen. `aistudio` and `huggingface` know one hub each, and import its
SDK only when something is uploaded. `failures` turns what goes wrong on the way into messages.
"""
