// Runs the body of a CUDA kernel on the host, for tests: thread blocks one after another, each thread a coroutine: a
// context of its own to start in (ucontext), then jumps, which cost no system call.
// Covers threadIdx.x, blockIdx.x, blockDim.x, static __shared__, __syncthreads, __shfl_xor_sync and atomicAdd; one-dimensional
// launches.
// Finds wrong indices and divergent barriers; not races, memory order or speed.
#pragma once
#undef _FORTIFY_SOURCE  // which refuses jumps between stacks
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

#define __global__ static
#define __device__ static
#define __launch_bounds__(threads)
#define __shared__ static  // one thread block runs at a time: static storage is its shared memory

namespace emulator {

enum waiting { running, at_block_barrier, at_warp_exchange, finished };

struct index {
  unsigned x;
};

struct coroutine {
  ucontext_t context;
  jmp_buf left;
  bool started;
  std::unique_ptr<char[]> stack;
  waiting state;
  uint64_t exchanged;
};

struct machine {
  jmp_buf scheduler;
  std::vector<coroutine> threads;
  std::function<void()> body;
  unsigned current = 0;
  index block{0}, block_size{0};
};

inline machine m;
const size_t stack_bytes = 64 << 10;
const unsigned warp = 32;

// Leave the current thread until the scheduler wakes it.
inline void wait(waiting why) {
  coroutine& self = m.threads[m.current];
  self.state = why;
  if (_setjmp(self.left) == 0) _longjmp(m.scheduler, 1);
}

// Let a thread run until it waits.
inline void resume(coroutine& thread) {
  if (_setjmp(m.scheduler)) return;
  if (thread.started) _longjmp(thread.left, 1);
  thread.started = true;
  setcontext(&thread.context);
}

inline void run_thread() {
  m.body();
  wait(finished);
}

inline void start_threads() {
  m.threads.resize(m.block_size.x);
  for (coroutine& t : m.threads) {
    if (!t.stack) t.stack.reset(new char[stack_bytes]);
    t.state = running;
    t.started = false;
    getcontext(&t.context);
    t.context.uc_stack.ss_sp = t.stack.get();
    t.context.uc_stack.ss_size = stack_bytes;
    t.context.uc_link = nullptr;  // no thread returns
    makecontext(&t.context, run_thread, 0);
  }
}

// Wake threads [first, last) if all of them wait for the same thing. Returns whether they did.
inline bool release(unsigned first, unsigned last, waiting what) {
  for (unsigned t = first; t < last; ++t)
    if (m.threads[t].state != what) return false;
  for (unsigned t = first; t < last; ++t) m.threads[t].state = running;
  return true;
}

// Runs each thread to its next barrier; returns how many are finished.
inline unsigned advance() {
  unsigned done = 0;
  for (unsigned t = 0; t < m.threads.size(); ++t) {
    m.current = t;
    if (m.threads[t].state == running) resume(m.threads[t]);
    done += m.threads[t].state == finished;
  }
  return done;
}

inline void run_block() {
  start_threads();
  const unsigned n = (unsigned)m.threads.size();
  while (advance() < n) {
    bool released = release(0, n, at_block_barrier);
    for (unsigned t = 0; t < n; t += warp) released |= release(t, t + warp < n ? t + warp : n, at_warp_exchange);
    if (!released) throw std::runtime_error("divergent barrier");
  }
}

template <class Body> void launch(unsigned blocks, unsigned threads, Body body) {
  m.body = body;
  m.block_size.x = threads;
  for (m.block.x = 0; m.block.x < blocks; ++m.block.x) run_block();
}

template <class T> T exchange_xor(T value, unsigned mask) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "one register");
  memcpy(&m.threads[m.current].exchanged, &value, sizeof value);
  wait(at_warp_exchange);
  memcpy(&value, &m.threads[m.current ^ mask].exchanged, sizeof value);
  wait(at_warp_exchange);  // nobody writes before everybody has read
  return value;
}

}  // namespace emulator

#define threadIdx (emulator::index{emulator::m.current})
#define blockIdx (emulator::m.block)
#define blockDim (emulator::m.block_size)
#define __syncthreads() emulator::wait(emulator::at_block_barrier)
#define __shfl_xor_sync(lanes, value, mask) emulator::exchange_xor(value, mask)

// Threads run one at a time, from barrier to barrier.
template <class T> T atomicAdd(T* to, T value) {
  const T before = *to;
  *to += value;
  return before;
}
