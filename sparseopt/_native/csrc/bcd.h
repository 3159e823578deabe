// Interface of the compiled block coordinate descent: a working set of groups of a (weighted) least-squares problem,
//   min over W:  1/2 sum_i s_i |t_i - x_i W - c|^2 + sum_g penalty_g(|W_g|),   x_i [p], W [p, T], c [T] the optimal intercept.
// Pointers and sizes only; every array is laid out and checked by sparseopt/_native/bcd.py.
#pragma once
#include <stdint.h>

enum so_storage { SO_DENSE_F64 = 0, SO_DENSE_F32 = 1, SO_CSC_F64 = 2 };

// Columns of X. dense: column j starts at values + j * ld. csc: entries starts[j] .. starts[j + 1] of rows and values.
struct so_design {
  int storage;
  int64_t n, ld;
  const void* values;
  const int64_t* starts;
  const int32_t* rows;
};

// Groups as positions: group g owns positions offsets[g] .. offsets[g + 1]; position q is column columns[q] of X.
// squares [G + 1]: prefix sums of the squared group sizes.
struct so_partition {
  int64_t count, largest;
  const int64_t *offsets, *columns, *squares;
};

// A scalar penalty written elsewhere: its value or slope at t, or its prox at t with a curvature (radial_value.h), at a strength.
enum so_question { SO_ASK_VALUE = 0, SO_ASK_SLOPE = 1, SO_ASK_PROX = 2 };
struct so_asked_penalty {
  double (*answer)(void*, int question, double t, double strength, double curvature);
  void* context;
};

// sum_g penalty_g(|W_g|) + l1 |W|_1 + l2 / 2 |W|^2, with W >= 0 where `positive`.
// kind, parameter: the scalar penalty of radial.h, or SO_ASKED, whose parameter is its slope at 0; strength [G], 0 where a group
// is free.  l1 > 0 and `positive` go with SO_LINEAR alone.
enum { SO_ASKED = 100 };
struct so_group_penalty {
  int kind;
  double parameter, l1, l2;
  bool positive;
  const double* strength;
  so_asked_penalty asked;

  bool entrywise() const { return l1 > 0 || positive; }
};

// Everything that changes. T outputs; columns of the residual are ldr apart, entry n of each is its pending shift.
//   r       [T][ldr] residual t - x W - c, times share where share is not null
//   target  [T][ldr] t, centred where `centred`; null: no duality gap is wanted
//   share   [n] sample weights s; null: all equal to total / n.  inverse [n]: 1 / s, 0 where s is 0
//   b       [p, T] coefficients by position, in the eigenbasis of the block where ready[g]; for entrywise penalties as they are
//   basis   [squares[G]], curvature [p], ready [G]: eigenvectors and eigenvalues of the blocks X_g' S X_g (centred), made lazily;
//           for entrywise penalties the blocks themselves and their diagonals
//   means   [p] weighted column means, filled with the block.  factor [G]: curvature multiplier, <= 0 where unknown
struct so_bcd_state {
  int64_t outputs, ldr;
  double *r;
  const double *target, *share, *inverse;
  double total;
  bool centred, unweighted_blocks;
  double *b, *basis, *curvature, *means, *factor;
  double factor_limit;
  uint8_t* ready;
};

// LAPACK's dsyevd, with which the eigenbases of blocks of 13 to 64 columns are made; null: by Jacobi's method, as those of smaller ones.
typedef void (*so_eigensolver)(char* job, char* part, int* k, double* a, int* ld, double* values, double* work, int* length, int* whole,
                               int* whole_length, int* info);
extern so_eigensolver so_dsyevd;

// Interrupts a long loop: called now and then, a non-zero answer ends the call.
struct so_poll {
  int (*ask)(void*);
  void* context;
};

struct so_bcd_options {
  int64_t max_epochs, epochs_per_cycle, anderson;
  double gap_target;        // relative duality gap of the working set at which the call ends; < 0: run max_epochs
  double violation_target;  // the same for nonconvex penalties, absolute
  double settled;           // a cycle ends early when no block gradient moved by more in a sweep
  double kappa;             // gap over sqrt(energy of a sweep), 0 where unknown; the energy is the sum of curvature x change^2
  bool judged;              // the caller measures the gap itself: the call ends, not measured, where the target is expected to be reached
  double enough = 0;        // part of the energy of the first sweep at which that is so
};

struct so_bcd_report {
  int64_t epochs, visits, accepted, columns;  // columns of X read
  double gap, violation, kappa;
  int interrupted;
};

// Sweeps that a problem is expected to need, before it is known.  Columns of squares of which a Gram matrix is made at most.
#define SO_SWEEPS_EXPECTED 12
#define SO_PRODUCTS 1000
// Whether squares in k dense columns are lowered from their Gram matrix in less time than in so many sweeps.  In multiply-adds of products of
// columns, which take half of the time of those of sweeps: two Newton steps take 0.7 k^3, or 4 k^3 with several outputs, besides 24 sweeps.
inline bool so_products_pay(int64_t n, int64_t k, int64_t outputs, int64_t sweeps) {
  const double size = (double)k, newton = (outputs > 1 ? 4.0 : 0.7) * size * size * size;
  return k > 0 && k <= SO_PRODUCTS && 0.5 * n * size * size + newton + 24.0 * size * size * outputs <= 4.0 * sweeps * n * size * outputs;
}

struct so_problem {
  so_design design;
  so_partition groups;
  so_group_penalty penalty;
  so_bcd_state state;
};

// Columns packed to 16 bits, by position, and what changes in a descent on them (cpu/bcd_packed.inc).
//   values   group g at offsets[g] * blocks * 32: root (x - mean) / scale / 2^16, `ready` where packed, lazily; blocks of 32 rows
//   square   [p] sums of squares of the packed columns, in units of (scale 2^16)^2.  mean [p]: what was taken off, 0 if not centred
//   root     [n] square roots of n x sample weight; null: all 1.  centred: whether means are taken off
//   s        [32 blocks] s at the start - (packed columns) (b - b at the start), in units of `unit`
//   pull     [p] minus the exact gradient at s = 0; renewed [p] out: as left where scored [G] out says so, else as it was
//   frobenius, error, lengths [G] norms of the packed columns of a group, of what rounding changed, at most, and of the columns
//            themselves, inf with `root`; written when a group is packed, inf before
//   residual [n] root (target - X w) at the start, less unit s.  careful: never skip a score that seems to be known
struct so_packed {
  int64_t blocks;
  int16_t* values;
  double *scale, *square, *mean;
  uint8_t* ready;
  const double* root;
  bool centred, careful;
  double unit;
  float* s;
  double *frobenius, *error, *lengths;
  const double *pull, *residual;
  double* renewed;
  uint8_t* scored;
};

// Block coordinate descent over the groups working[0 .. count). scores [G] in: gradient norms over strengths as known, out: as left.
so_bcd_report so_bcd_inner(const so_problem& problem, const int64_t* working, int64_t count, double* scores, bool scored,
                           const so_bcd_options& options, double* workspace, const so_poll& poll);
int64_t so_bcd_workspace(const so_problem& problem, int64_t coefficients, int64_t anderson);  // doubles

// The same on packed columns, in the order of `working`, from a small s; scores [G] in and out.  Workspace in doubles.
so_bcd_report so_packed_inner(const so_problem& problem, const so_packed& packed, const int64_t* working, int64_t count, double* scores,
                              const so_bcd_options& options, double* workspace, const so_poll& poll);

// One read of dense columns: all groups packed, gradient [p] of X' v by position and norms [G] for v [n], as so_bcd_gradient gives them.
// Of `packed` what the columns are is used, nothing of a descent.
void so_packed_pass(const so_problem& problem, const so_packed& packed, const double* v, double* gradient, double* norms);
// Renewed gradients of some groups at s as it is; 1 when interrupted.  Workspace as for these groups without coefficients.
int so_packed_score(const so_problem& problem, const so_packed& packed, const int64_t* groups, int64_t count, double* workspace, const so_poll& poll);
int64_t so_packed_workspace(const so_problem& problem, const so_packed& packed, int64_t groups, int64_t coefficients, int64_t anderson);

// Descent from the Gram matrix (cpu/bcd_gram.inc), whose coefficients are in the order of the groups.
//   matrix [p, p] symmetric, the Hessian.  at_zero, pull [p]: minus the gradient at 0 and at b, the latter follows b.
//   square: |target|^2 / n
struct so_gram {
  int64_t p;
  const double *matrix, *at_zero;
  double* pull;
  double square;
};
so_bcd_report so_gram_inner(const so_problem& problem, const so_gram& gram, const so_bcd_options& options, double* workspace,
                            const so_poll& poll);

// Strengths [count, G] in the order in which they are met, with numbers lam [count] they are multiples of.  Work begins at `first`, 0, or 2
// where two rows are known: solutions start on the line through the two before, if it leads at most SO_LONGEST times their distance on.
#define SO_LONGEST 2.0
struct so_strengths {
  int64_t count, first;
  const double *strength, *lam;
};

// The same at several strengths.  b, pull [count, p]: in and out, coefficients as they are, by position, and minus the gradient there; where
// `first` is 0, each row starts where it is.  epochs, seconds [count].  Returns how many rows are known then; the call may be interrupted.
int64_t so_gram_path(const so_problem& problem, const so_gram& gram, const so_strengths& path, double* b, double* pull, int64_t* epochs,
                     double* seconds, const so_bcd_options& options, double* workspace, const so_poll& poll);

// Of a Cox model (RiskSets in sparseopt/datafits/risk_sets.py, without fractions): order [count], the samples that are ever at risk, by the
// last of the event times at which they are, with weights [count]; starts [times + 1], where those of each time begin; mass [times] of events.
struct so_risk_sets {
  int64_t count, times;
  const int64_t *order, *starts;
  const double *weight, *mass;
};

// A loss of single samples, sum_i share_i loss(eta_i; y_i), eta = z + offset + c with the optimal intercept c where the problem is
// centred, or that of Cox; the classes of sparseopt/datafits say what each one is.  One output, but for squares.
//   y [T][n]: signs (logistic), counts (Poisson), targets (Huber; half squares; centred where the problem is) or shares of the events (Cox)
//   share [n] sums to 1.  offset [n]: less its mean where centred; null for squares.  sets: of Cox alone.  delta: of Huber alone
enum so_loss_kind { SO_LOGISTIC = 0, SO_POISSON = 1, SO_SQUARED = 2, SO_COX = 3, SO_HUBER = 4 };
struct so_loss {
  int kind;
  const double *y, *share, *offset;
  so_risk_sets sets;
  double delta;
};

// Proximal Newton steps (cpu/bcd_newton.inc) until the relative gap over the working set is at most `target`, the objective does not go
// down, or a step left more than `slow` of the gap before it, which is `last` at the start, and sweeps were doubled up to `most_epochs`.
//   smallest_share: least weight of a model, relative to the largest one.  margin: of curvatures not measured yet
//   next: sweeps on a model end where they leave this part of what the next one is expected to leave of the gap, the square of what the last did
//   at_zero: gaps are relative to the larger of the objective and its distance to this.  scored: whether the scores are those of the point;
//   else they are found first, and nothing is done where the target is reached.  pulled: whether `pull` is that of the point then
//   part: the target is at least this part of the gap at the start
//   highest: a start at which the objective is not below this is left as it is, with an error of inf; elsewhere its groups that are not 0
//   get their eigenbases.  inf where any will do, and they have them
struct so_newton_options {
  int64_t models, epochs, most_epochs, epochs_per_cycle, anderson, halvings;
  double target, slow, last, smallest_share, margin, next, at_zero;
  bool scored, pulled;
  double highest, part = 0;
};
// In and out: z [T][ldr], X w.  scores [G] of the working set.
// Out: force [T][ldr], minus the gradient of the loss in z, may be null.  w [p, T] by position, sizes [G] its norms.  pull [p, T], norms [G]: X' times
// the gradient in z, and its norms, of the working set.
struct so_newton_point {
  double *z, *scores, *force, *w, *sizes, *pull, *norms;
};
// Relative size of the sum of the slopes up to which they count as orthogonal to the intercept (BALANCE of datafits/pointwise.py)
#define SO_BALANCE 1e-9
enum so_newton_end { SO_REACHED = 0, SO_SLOW = 1, SO_STUCK = 2, SO_INTERRUPTED = 3, SO_MANY_MODELS = 4 };
// error: relative gap over the working set after the last model.  value, gap, violation: objective, duality gap and distance to
// stationarity at the point, over the working set; active: groups that are not zero.
struct so_newton_report {
  int64_t models, columns;
  int why;
  double error, value, gap, violation;
  int64_t active;
};
// Groups outside the working set are 0.
// share of the problem is written, and inverse where a model is swept over, but for squares, which are only looked at: without models, error is
// that of the point.
so_newton_report so_newton(const so_problem& problem, const so_loss& loss, const int64_t* working, int64_t count,
                           const so_newton_point& point, const so_newton_options& options, double* workspace, const so_poll& poll);
int64_t so_newton_workspace(const so_problem& problem, int kind, int64_t anderson);  // doubles, for a loss of this kind

// Newton steps, or for squares sweeps, at several strengths > 0 in one call, until one falls short of the target.  `settled` of the sweeps
// is relative to the smallest strength.
//   w [count, p, T] by position, of which `first` rows are known.  z [.., T, ldr] = X w, reports and seconds: of the others.
// Returns how many rows of w are known then, the last one perhaps a point on the way, with a gap of inf where it is not known.
//   at_zero [p, T]: X' times the gradient in z at w = 0, where the first of them starts, or null.  lengths [G]: |X_g|_F, inf where unknown, or null.
struct so_descent_path {
  double *z, *w, *seconds;
  const double *at_zero, *lengths;
  so_newton_report* reports;
};
int64_t so_descend_path(const so_problem& problem, const so_loss& loss, const int64_t* working, int64_t count, const so_strengths& path,
                        const so_descent_path& out, const so_newton_options& options, const so_bcd_options& sweeps, double* workspace,
                        const so_poll& poll);
int64_t so_descend_path_workspace(const so_problem& problem, int kind, int64_t anderson);  // doubles

// What one pass over X answers, for the groups with need[g] (null: all). frobenius [G] may be null: sum of squares of X_g.
struct so_bcd_pass {
  const uint8_t* need;
  double *gradient, *norms, *frobenius;
};

// gradient [p, T] by position and norms [G] of X' v for v [T][ldr]. Threads over groups.
int so_bcd_gradient(const so_problem& problem, const double* v, const so_bcd_pass& pass, int threads, const so_poll& poll);

// b from coefficients w [p, T] by position and back, for the groups that are ready.
void so_bcd_rotate(const so_problem& problem, const double* w, double* b, bool forward);

// z [T][ldr] += X w for w [p, T] by position.
void so_bcd_fit(const so_problem& problem, const double* w, double* z);

// z [n] += X w for w [p] by position, and gradient [p] = X_g' v of the groups that are not zero in w, in one read of dense columns: the
// same bits as so_bcd_fit and so_bcd_gradient.  room [11 p].
void so_bcd_fit_and_gradient(const so_problem& p, const double* w, const double* v, double* z, double* gradient, double* room);
