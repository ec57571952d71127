"""What parts of the web application share."""

from aiohttp import web

from app.cluster import Cluster
from app.settings import Settings

CLUSTER = web.AppKey("cluster", Cluster)
SETTINGS = web.AppKey("settings", Settings)
