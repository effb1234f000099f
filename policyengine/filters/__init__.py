"""From a condition on documents to the query language of the store that holds them.

Everything a caller needs is imported from here, except what needs a library of its own: `policyengine.filters.arrow`,
`policyengine.filters.polars` and `policyengine.filters.sqlalchemy`.
"""

from policyengine.filters.backend import Backend, Fragment
from policyengine.filters.chroma import chroma
from policyengine.filters.elasticsearch import elasticsearch
from policyengine.filters.fields import Field, column, json, ref
from policyengine.filters.filter import Filter, Kind, NotExpressible, Query
from policyengine.filters.lancedb import lancedb
from policyengine.filters.milvus import milvus
from policyengine.filters.mongodb import mongodb
from policyengine.filters.pinecone import pinecone
from policyengine.filters.qdrant import qdrant
from policyengine.filters.sql import sql
from policyengine.filters.weaviate import weaviate

__all__ = [
    "Backend",
    "Field",
    "Filter",
    "Fragment",
    "Kind",
    "NotExpressible",
    "Query",
    "chroma",
    "column",
    "elasticsearch",
    "json",
    "lancedb",
    "milvus",
    "mongodb",
    "pinecone",
    "qdrant",
    "ref",
    "sql",
    "weaviate",
]
