// What the bindings and the kernels of every instruction set agree on. Plain data, no code.
#pragma once

#include <stdint.h>

namespace crossent {

enum DType { kFloat16, kBFloat16, kFloat32, kFloat64, kDTypes };

// softmax, log_softmax, logsumexp and their derivatives; (M, K) or, for the reduced side, (M,).
struct RowsCall {
  const void* first;   // logits, probabilities or log-probabilities
  const void* second;  // cotangent or tangent
  void* out;
  int64_t n_classes;
  bool streamed;       // results pass the caches by
};

struct CrossEntropyCall {
  const void* logits;         // (M, K)
  const int64_t* labels;      // (M,) or null
  const void* targets;        // (M, K) in the compute dtype, or null
  const void* tangent;        // (M, K) for jvp and hvp
  const double* row_weight;   // (M,) or null: 1
  const double* class_weight; // (K,) or null: 1
  const uint8_t* mask;        // (M, K) or (K,) or null
  int64_t mask_stride;        // K or 0
  int64_t n_classes;
  double gradient_factor, label_smoothing, temperature, softcap, z_loss;  // softcap 0: none
  bool gauss_newton;
  double* loss;               // (M,); may be null where the sum is enough
  double* loss_tangent;       // (M,)
  void* out;                  // (M, K): gradient or Hessian-vector product; may be null
  void* gradient;             // (M, K): beside the latter, or null
  bool streamed;              // the gradient passes the caches by
};

// Classes along the middle axis of (outer, K, inner).
constexpr int64_t kColumnNumbers = 32768, kWidestTile = 128;  // numbers and columns of a tile
constexpr int64_t kPlaneNumbers = 65536;                      // numbers where columns are walked as they lie
constexpr int64_t kLongestColumn = 2048;                      // classes of those
struct ColumnsCall {
  const void* logits;            // or probabilities or log-probabilities
  const void* second;            // cotangent of those, or, for logsumexp, of each column; or null
  void* out;                     // (outer, K, inner) or, where each column gives one number, (outer, inner)
  int64_t n_classes, inner;
  int64_t width;                 // columns of a tile
  bool planes;                   // whether columns are walked as they lie, where the kernel can
  const CrossEntropyCall* loss;  // all but the logits and the gradient, or null
};

struct BinaryCall {
  const void* logits;        // (M,)
  const int64_t* labels;     // (M,) of 0 and 1, or null
  const void* targets;       // (M,) in the compute dtype, or null
  bool plain;                // no weights, no smoothing, temperature 1
  const double* row_weight;  // (M,) or null: 1
  double gradient_factor, label_smoothing, temperature, weight_of_0, weight_of_1;
  double* loss;              // (M,) or null
  void* out;                 // (M,) gradient or null
};

struct LabelsCall {
  const int64_t* labels;  // (M,)
  int64_t n_classes;
};

struct RangeCall {
  const void* values;  // of any shape, in order
  double most;
};

struct GaussianCall {
  const void* inputs;     // (N, D)
  const void* centers;    // (n, D)
  const void* beta;       // (n,)
  const void* cotangent;  // (N, n)
  int64_t n_samples, n_inputs, n_features;
  bool radial;            // gradients only
  void* out;              // (N, n); for inputs' gradient (N, D)
  void* centers_out;      // (n, D) or null
  void* beta_out;         // (n,) or null
};

// Radial features, by differences or, where there is an origin, by matrix products; their gradients by products.
struct RadialCall {
  const void* inputs;     // (N, D)
  const void* origin;     // (D,) or null
  const void* centers;    // (n, D), from the origin
  const void* squares;    // (n,): |c|^2; null without an origin
  const void* beta;       // (n,)
  const void* cotangent;  // (N, n) for gradients
  int64_t n_samples, n_inputs, n_features;
  double reach;           // of |x|^2: rows further out have no part in the gradients
  void* panels;           // the centers, some at a time, side by side: (n, D) in whole panels
  void* scaled_panels;    // 2 beta c, some coordinates at a time: (D, n) in whole panels; for inputs' gradient
  void* out;              // (N, n); for inputs' gradient (N, D) or null
  void* sizes;            // (N,): |x|^2 from the origin
  int64_t part;           // inputs of a part, whose gradients are summed by one thread
  void* part_centers;     // (parts, n, D)
  double* part_sums;      // (parts, 2, n)
  void* centers_out;      // (n, D) or null
  void* beta_out;         // (n,) or null
};

// out = start + a b; a (m, c), b (c, p). Steps are in elements; the columns of start and out are neighbours.
constexpr int64_t kProductNumbers = 1 << 17;  // that a thread copies at a time
struct ProductCall {
  const void *a, *b;
  const void* start;  // may be out; null: zeros
  void* out;
  int64_t m, c, p;
  int64_t a_row, a_column, b_row, b_column, start_row, out_row;
  bool in_order;           // one sum from start on; otherwise a number of terms at a time is added to it
  int64_t tile_m, tile_p;  // of the tiles that out is made in
};

// Rows in the CSR form: row i has the numbers starts[i] ... starts[i + 1], each with its column.
struct SparseCall {
  const void* numbers;   // (E,)
  const void* columns;   // (E,) int32 or, where wide, int64; of any order, and more than once
  const void* starts;    // (B + 1,) likewise
  bool wide;
  int64_t n_rows, n_columns, n_classes;
  const void* weight;    // (n, K)
  const void* bias;      // (K,)
  void* out;             // (B, K)
  const void* gradient;  // (B, K)
  double* sums;          // (n, K)
  const int64_t* cuts;   // the columns of part i of the sums are cuts[i] ... cuts[i + 1]
};

constexpr int64_t kTurnedNumbers = 256;  // of the longer axis, turned at a time
struct TurnCall {
  const void* from;  // (rows, columns)
  void* out;         // (columns, rows)
  int64_t rows, columns;
};

// Rows (m, P) and a vector float64 (P,), gone through a block of the P at a time.
constexpr int64_t kVectorNumbers = 2048;  // that stay in the first cache
struct VectorCall {
  const void* rows;       // (m, P)
  const double* vector;   // (P,)
  int64_t n_rows, size;   // m, P
  int64_t block;          // numbers whose products are added up by themselves
  double* products;       // (blocks, m), 0 at first
  const double* weights;  // (m,)
  double factor;          // of the vector
  void* out;              // (P,)
  bool narrow;            // of float32
};

// Each works on the rows (for the gradient of the parameters: the tiles of features) begin ... end.
template <class Call>
using Kernel = void (*)(const Call&, int64_t begin, int64_t end);

// The same, returning the sum of the losses of the rows begin ... end.
template <class Call>
using LossKernel = double (*)(const Call&, int64_t begin, int64_t end);

// Chooses the tiles and returns how many there are; makes those of begin ... end, with memory for the copies.
using ProductPlan = int64_t (*)(ProductCall&, int threads);
using ProductKernel = void (*)(const ProductCall&, int64_t begin, int64_t end, void* memory);

// The kernels of an instruction set, a family at a time: each is compiled by itself, for no file to take long.
struct SoftmaxKernels {
  Kernel<RowsCall> softmax[kDTypes], log_softmax[kDTypes], logsumexp[kDTypes];
  Kernel<RowsCall> softmax_vjp[kDTypes], log_softmax_vjp[kDTypes], log_softmax_jvp[kDTypes];
  Kernel<RowsCall> logsumexp_vjp[kDTypes], logsumexp_jvp[kDTypes];
  Kernel<RowsCall> sigmoid[kDTypes];
};

struct LossKernels {
  LossKernel<CrossEntropyCall> cross_entropy[kDTypes], cross_entropy_general[kDTypes];
  Kernel<CrossEntropyCall> cross_entropy_jvp[kDTypes], cross_entropy_hvp[kDTypes];
  Kernel<CrossEntropyCall> labelled_jvp[kDTypes], labelled_hvp[kDTypes];  // of labels, without options
  LossKernel<BinaryCall> binary_cross_entropy[kDTypes];
  int64_t (*first_bad_label)(const LabelsCall&, int64_t begin, int64_t end);
  int64_t (*first_outside[kDTypes])(const RangeCall&, int64_t begin, int64_t end);
};

struct ColumnKernels {
  Kernel<ColumnsCall> softmax_columns[kDTypes], log_softmax_columns[kDTypes], logsumexp_columns[kDTypes];
  Kernel<ColumnsCall> softmax_vjp_columns[kDTypes], log_softmax_vjp_columns[kDTypes], logsumexp_vjp_columns[kDTypes];
  LossKernel<ColumnsCall> cross_entropy_columns[kDTypes], cross_entropy_general_columns[kDTypes];
};

// Null for 16-bit numbers, as products are.
struct FeatureKernels {
  Kernel<GaussianCall> additive_features[kDTypes];
  Kernel<GaussianCall> gaussian_inputs_vjp[kDTypes];
  Kernel<GaussianCall> gaussian_parameters_vjp[kDTypes];
  int feature_tile[kDTypes];  // features a tile holds
  int radial_panel[kDTypes];  // centers, or coordinates, of a panel
  Kernel<RadialCall> radial_panels[kDTypes];
  Kernel<RadialCall> radial_features[kDTypes];
  Kernel<RadialCall> radial_vjp_parts[kDTypes];
  Kernel<RadialCall> radial_vjp_totals[kDTypes];
};

struct ProductKernels {
  ProductPlan plan_product[kDTypes];
  ProductKernel product[kDTypes];
};

// Null for 16-bit numbers.
struct SparseKernels {
  LossKernel<SparseCall> sparse_logits[kDTypes];  // returns how many blocks of rows have columns that are not there
  Kernel<SparseCall> sparse_sums[kDTypes];
  Kernel<TurnCall> turned[kDTypes];
};

struct VectorKernels {
  Kernel<VectorCall> vector_products[kDTypes];
  LossKernel<VectorCall> vector_sum[kDTypes];  // returns the sum of squares
};

struct KernelTable : SoftmaxKernels,
                     LossKernels,
                     ColumnKernels,
                     FeatureKernels,
                     ProductKernels,
                     SparseKernels,
                     VectorKernels {};

}  // namespace crossent
