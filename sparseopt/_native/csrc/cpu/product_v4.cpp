#define SO_TABLE so_product_v4
#include "product.inc"
