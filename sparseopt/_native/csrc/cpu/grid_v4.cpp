#define SO_TABLE so_grid_v4
#include "grid.inc"
