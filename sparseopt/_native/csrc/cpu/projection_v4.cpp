#define SO_TABLE so_projections_v4
#include "projection.inc"
