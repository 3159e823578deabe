#define SO_TABLE so_product_baseline
#include "product.inc"
