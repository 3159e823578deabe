#define SO_TABLE so_grid_baseline
#include "grid.inc"
