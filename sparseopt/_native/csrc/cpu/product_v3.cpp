#define SO_TABLE so_product_v3
#include "product.inc"
