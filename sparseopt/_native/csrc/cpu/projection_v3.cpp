#define SO_TABLE so_projections_v3
#include "projection.inc"
