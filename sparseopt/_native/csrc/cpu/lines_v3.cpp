#define SO_TABLE so_lines_v3
#include "lines.inc"
