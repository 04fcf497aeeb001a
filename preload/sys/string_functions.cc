// What compilers call by name, for the library itself: a sanitizer's or a profiler's functions of these names stand before
// libc's, watch what we do, and may not be ready when we are. Not exported: nobody else sees them.
#include <stddef.h>
#include <stdint.h>

// Without the attribute the compiler would make of each loop a call of the function it is in.
#define LEAKHUNT_STRING extern "C" __attribute__((hot, optimize("no-tree-loop-distribute-patterns")))

namespace {

using Word = uint64_t __attribute__((aligned(1), may_alias));
using Half = uint32_t __attribute__((aligned(1), may_alias));

// Fewer than 16 bytes, all loaded before the first is stored: the two may overlap.
inline void CopyFew(unsigned char* to, const unsigned char* from, size_t bytes) {
  if (bytes >= 8) {
    const uint64_t first = *reinterpret_cast<const Word*>(from), last = *reinterpret_cast<const Word*>(from + bytes - 8);
    *reinterpret_cast<Word*>(to) = first;
    *reinterpret_cast<Word*>(to + bytes - 8) = last;
  } else if (bytes >= 4) {
    const uint32_t first = *reinterpret_cast<const Half*>(from), last = *reinterpret_cast<const Half*>(from + bytes - 4);
    *reinterpret_cast<Half*>(to) = first;
    *reinterpret_cast<Half*>(to + bytes - 4) = last;
  } else if (bytes != 0) {
    const unsigned char first = from[0], middle = from[bytes / 2], last = from[bytes - 1];
    to[0] = first;
    to[bytes / 2] = middle;
    to[bytes - 1] = last;
  }
}

}  // namespace

LEAKHUNT_STRING void* memmove(void* to, const void* from, size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  if (bytes < 16) {
    CopyFew(out, in, bytes);
  } else if (reinterpret_cast<uintptr_t>(out) - reinterpret_cast<uintptr_t>(in) >= bytes) {  // forwards is right
    const uint64_t last[2] = {*reinterpret_cast<const Word*>(in + bytes - 16), *reinterpret_cast<const Word*>(in + bytes - 8)};
    for (size_t at = 0; at + 16 <= bytes; at += 16) {
      const uint64_t a = *reinterpret_cast<const Word*>(in + at), b = *reinterpret_cast<const Word*>(in + at + 8);
      *reinterpret_cast<Word*>(out + at) = a;
      *reinterpret_cast<Word*>(out + at + 8) = b;
    }
    *reinterpret_cast<Word*>(out + bytes - 16) = last[0];
    *reinterpret_cast<Word*>(out + bytes - 8) = last[1];
  } else {
    const uint64_t first[2] = {*reinterpret_cast<const Word*>(in), *reinterpret_cast<const Word*>(in + 8)};
    for (size_t at = bytes; at >= 16; at -= 16) {
      const uint64_t a = *reinterpret_cast<const Word*>(in + at - 16), b = *reinterpret_cast<const Word*>(in + at - 8);
      *reinterpret_cast<Word*>(out + at - 16) = a;
      *reinterpret_cast<Word*>(out + at - 8) = b;
    }
    *reinterpret_cast<Word*>(out) = first[0];
    *reinterpret_cast<Word*>(out + 8) = first[1];
  }
  return to;
}

LEAKHUNT_STRING void* memcpy(void* __restrict to, const void* __restrict from, size_t bytes) { return memmove(to, from, bytes); }

LEAKHUNT_STRING void* memset(void* to, int value, size_t bytes) {
  auto* out = static_cast<unsigned char*>(to);
  const uint64_t pattern = static_cast<unsigned char>(value) * 0x0101'0101'0101'0101u;
  if (bytes < 8) {
    for (size_t at = 0; at < bytes; ++at) out[at] = static_cast<unsigned char>(value);
    return to;
  }
  for (size_t at = 0; at + 8 <= bytes; at += 8) *reinterpret_cast<Word*>(out + at) = pattern;
  *reinterpret_cast<Word*>(out + bytes - 8) = pattern;
  return to;
}

// Word by word from the first aligned one: such a word lies in one page. The bit trick is Mycroft's (1987).
LEAKHUNT_STRING size_t strlen(const char* text) {
  const char* at = text;
  for (; (reinterpret_cast<uintptr_t>(at) & 7) != 0; ++at) {
    if (*at == 0) return static_cast<size_t>(at - text);
  }
  for (;; at += 8) {
    const uint64_t word = *reinterpret_cast<const Word*>(at);
    const uint64_t zeros = (word - 0x0101'0101'0101'0101u) & ~word & 0x8080'8080'8080'8080u;
    if (zeros != 0) return static_cast<size_t>(at - text) + static_cast<size_t>(__builtin_ctzll(zeros)) / 8;
  }
}
