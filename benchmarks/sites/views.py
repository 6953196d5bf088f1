"""Products by the book: a ModelSerializer and a ModelViewSet.

Promises: answers the fields of Headwater's product, in its order.
On failure: as DRF does.
"""

from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from catalog.cache import ProductCard
from catalog.models import Product


class ProductSerializer(ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = ProductCard.__struct_fields__


class ProductViewSet(ModelViewSet[Product]):
    queryset = Product.objects.all()
    serializer_class = ProductSerializer
