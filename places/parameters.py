"""The parameters of places, as OpenAPI documents them; places/queries.py reads those of searches.

Promise: every parameter has its range and its unit.
On failure: nothing can fail here.
"""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from places.models import BEST_RATING, CUISINE
from places.queries import FARTHEST_KM, GEOJSON, JSON, LIMIT, MOST
from rest.cursor import MOST_PER_PAGE

PAGES = [
    OpenApiParameter("cursor", str, description="From `next` or `previous`."),
    OpenApiParameter(
        "per_page",
        {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": 20},
        description="How many places a page has.",
    ),
]
PLACE_ID = OpenApiParameter(
    "id", OpenApiTypes.STR, OpenApiParameter.PATH, description="Of the place."
)
BY_CUISINE = OpenApiParameter(
    "cuisine",
    {"type": "string", "pattern": f"^(?:{CUISINE.pattern})?$"},
    description="Only places of this cuisine; empty: of any.",
)
COMMON = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT},
        description="How many places a page has.",
    ),
    BY_CUISINE,
    OpenApiParameter(
        "min_rating",
        {"type": "number", "minimum": 0, "maximum": BEST_RATING},
        description="Only places rated at least so; those without a rating are not.",
    ),
    OpenApiParameter("cursor", str, description="From `next`."),
    OpenApiParameter(
        "format",
        {"type": "string", "enum": [JSON, GEOJSON]},
        description="`geojson` answers a FeatureCollection (RFC 7946), as does the Accept header.",
    ),
]
NEARBY = [
    OpenApiParameter(
        "lat",
        {"type": "number", "minimum": -90, "maximum": 90},
        required=True,
        description="Of the centre, in degrees north.",
    ),
    OpenApiParameter(
        "lon",
        {"type": "number", "minimum": -180, "maximum": 180},
        required=True,
        description="Of the centre, in degrees east.",
    ),
    OpenApiParameter(
        "radius_km",
        {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": FARTHEST_KM},
        description="In kilometres along the sphere; without it the nearest, however far.",
    ),
    *COMMON,
]
WITHIN = [
    OpenApiParameter(
        "bbox",
        {
            "type": "array",
            "items": {"type": "number", "minimum": -180, "maximum": 180},
            "minItems": 4,
            "maxItems": 4,
        },
        required=True,
        style="form",
        explode=False,
        description="West, south, east, north in degrees; west > east crosses the antimeridian.",
    ),
    *COMMON,
]
LIST = [*PAGES, BY_CUISINE]
