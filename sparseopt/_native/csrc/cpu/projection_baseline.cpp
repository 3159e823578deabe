#define SO_TABLE so_projections_baseline
#include "projection.inc"
