#define SO_TABLE so_grid_v3
#include "grid.inc"
