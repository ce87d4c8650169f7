"""Logged requests and responses of a model server: what their bodies say, as rows with columns.

In:    bytes as a client sent them or a server answered them; records with an id.
Out:   tensors, joined records, columns; a reason in one word where a body says nothing usable.
Never: reads a file or a clock; raises for anything a body may hold; imports numpy or pyarrow.

``bodies`` reads the v1 and v2 inference protocols, ``records`` the KServe log and CloudEvents,
``joining`` brings requests and responses together, ``rows`` names the columns.
"""
