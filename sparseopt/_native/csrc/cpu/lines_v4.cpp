#define SO_TABLE so_lines_v4
#include "lines.inc"
