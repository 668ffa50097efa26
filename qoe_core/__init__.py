"""Streaming sessions in, the results chapter of a thesis on Quality of Experience out."""

from qoe_core import torchvision_schemas

torchvision_schemas.install()
