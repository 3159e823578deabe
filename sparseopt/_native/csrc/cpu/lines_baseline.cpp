#define SO_TABLE so_lines_baseline
#include "lines.inc"
