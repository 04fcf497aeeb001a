#include "preload/sys/memory.h"

#include <sys/mman.h>

#include "preload/sys/atomic.h"
#include "preload/sys/syscall.h"

namespace leakhunt::sys {

constinit Gate g_gate = {};

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunkBytes = 64 * 1024;
constexpr uint64_t kHugePage = 2 << 20;
constexpr uint64_t kHugeFrom = kHugePage;  // less is touched as used

constinit uint64_t g_private_bytes = 0;
// Bump chunk: address in the upper part, because a chunk is 64 KiB aligned by size only, kept as {next, end}.
struct Chunk {
  uint64_t next;  // CAS by carvers
  uint64_t end;
};
constinit Chunk* g_chunk = nullptr;

}  // namespace

namespace {

uint64_t Pages(uint64_t bytes) { return (bytes + kPage - 1) & ~(kPage - 1); }

long MapAnonymous(uint64_t bytes) {
  return Call(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void* Advise(long start, uint64_t bytes, int pages) {
  Call(SYS_madvise, start, static_cast<long>(bytes), MADV_DONTDUMP);
  Call(SYS_madvise, start, static_cast<long>(bytes), pages);
  AddRelaxed(&g_private_bytes, bytes);
  return reinterpret_cast<void*>(start);
}

}  // namespace

void* MapPrivate(uint64_t bytes) {
  bytes = Pages(bytes);
  long start = MapAnonymous(bytes);
  return Failed(start) ? nullptr : Advise(start, bytes, MADV_NOHUGEPAGE);
}

void* MapPrivateWiped(uint64_t bytes) {
  void* start = MapPrivate(bytes);
  if (start == nullptr) return nullptr;
  return Failed(Call(SYS_madvise, Word(start), static_cast<long>(Pages(bytes)), MADV_WIPEONFORK)) ? nullptr : start;
}

void* MapPrivateHuge(uint64_t bytes) {
  bytes = Pages(bytes);
  if (bytes < kHugeFrom) return MapPrivate(bytes);
  long start = MapAnonymous(bytes + kHugePage);
  if (Failed(start)) return MapPrivate(bytes);
  const uint64_t aligned = (static_cast<uint64_t>(start) + kHugePage - 1) & ~(kHugePage - 1);
  const uint64_t before = aligned - static_cast<uint64_t>(start);
  if (before != 0) Call(SYS_munmap, start, static_cast<long>(before));
  if (before != kHugePage) Call(SYS_munmap, static_cast<long>(aligned + bytes), static_cast<long>(kHugePage - before));
  return Advise(static_cast<long>(aligned), bytes, MADV_HUGEPAGE);
}

void Discard(void* start, uint64_t bytes) {
  Call(SYS_madvise, Word(start), static_cast<long>(bytes), MADV_DONTNEED);
  AddRelaxed(&g_private_bytes, ~bytes + 1);
}

uint64_t PrivateBytes() { return LoadRelaxed(&g_private_bytes); }

void* Carve(uint64_t bytes) {
  bytes = (bytes + 15) & ~uint64_t{15};
  if (bytes > kChunkBytes / 4) return MapPrivate(bytes);
  for (;;) {
    Chunk* chunk = LoadAcquire(&g_chunk);  // partner: the CAS below
    if (chunk != nullptr) {
      uint64_t at = AddRelaxed(&chunk->next, bytes);
      if (at + bytes <= chunk->end) return reinterpret_cast<void*>(at);
    }
    void* fresh = MapPrivate(kChunkBytes);
    if (fresh == nullptr) return nullptr;
    Chunk* head = static_cast<Chunk*>(fresh);
    head->next = reinterpret_cast<uint64_t>(fresh) + 64;
    head->end = reinterpret_cast<uint64_t>(fresh) + kChunkBytes;
    CompareExchange(&g_chunk, chunk, head);  // a loser's chunk stays unused: 64 KiB of address space, one page
  }
}

}  // namespace leakhunt::sys
