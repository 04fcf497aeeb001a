// Text without libc: bounded building and parsing, for log lines, /proc paths and environment values.
#pragma once

#include <cstdint>

#if defined(__SSE2__) && !defined(__SANITIZE_ADDRESS__)
#include <emmintrin.h>
#endif

namespace leakhunt::sys {

inline uint64_t Length(const char* text) {
  uint64_t n = 0;
  while (text[n] != 0) ++n;
  return n;
}
inline bool Equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}
inline bool StartsWith(const char* text, const char* prefix) {
  while (*prefix != 0 && *text == *prefix) ++text, ++prefix;
  return *prefix == 0;
}

// Copies text of some dozen bytes, without its NUL, and returns its length; more than `kCapacity` (16 at least) when it has
// not found the end: it looks at whole sixteens, of one page, as far as they fit. What is behind the text is read, and
// written behind the copy, within `kCapacity` and to the next sixteen.
template <uint32_t kCapacity>
[[gnu::always_inline]] inline uint32_t CopyShortText(char* to, const char* from) {
#if defined(__SSE2__) && !defined(__SANITIZE_ADDRESS__)
  constexpr uint32_t kLooked = kCapacity / 16 * 16;
  if (__builtin_expect(reinterpret_cast<uintptr_t>(from) % 4096 > 4096 - kLooked, 0)) return ~0u;
#pragma GCC unroll 1
  for (uint32_t at = 0; at < kLooked; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at));
    const auto ends = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128())));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + at), bytes);
    if (ends != 0) return at + static_cast<uint32_t>(__builtin_ctz(ends));
  }
  return ~0u;
#else
  const uint64_t length = __builtin_strlen(from);
  if (length > kCapacity) return ~0u;
  __builtin_memcpy(to, from, length);
  return static_cast<uint32_t>(length);
#endif
}
// A copy of some dozen bytes, inline, to where they do not overlap.
[[gnu::always_inline]] inline void CopyShort(char* to, const char* from, uint32_t bytes) {
  using Words = struct __attribute__((packed)) { uint64_t word[2]; };
  if (bytes >= sizeof(Words)) {
    const Words last = *reinterpret_cast<const Words*>(from + bytes - sizeof(Words));
    for (uint32_t at = 0; at + sizeof(Words) <= bytes; at += sizeof(Words)) {
      *reinterpret_cast<Words*>(to + at) = *reinterpret_cast<const Words*>(from + at);
      asm volatile("" ::: "memory");  // or the compiler makes a call of memcpy of it
    }
    *reinterpret_cast<Words*>(to + bytes - sizeof(Words)) = last;
  } else if (bytes >= sizeof(uint64_t)) {
    uint64_t first, last;
    __builtin_memcpy(&first, from, sizeof(first));
    __builtin_memcpy(&last, from + bytes - sizeof(last), sizeof(last));
    __builtin_memcpy(to, &first, sizeof(first));
    __builtin_memcpy(to + bytes - sizeof(last), &last, sizeof(last));
  } else {
#pragma GCC unroll 1
    for (uint32_t at = 0; at < bytes; ++at) {
      to[at] = from[at];
      asm volatile("" ::: "memory");
    }
  }
}

// Builds a NUL-terminated string in a fixed buffer; what does not fit is cut.
template <uint32_t kCapacity>
class Text {
 public:
  Text& Add(const char* text) {
    while (text != nullptr && *text != 0) Put(*text++);
    return *this;
  }
  Text& Add(const char* text, uint32_t bytes) {
    if (bytes > kCapacity - 1 - size_) bytes = kCapacity - 1 - size_;
    CopyShort(data_ + size_, text, bytes);
    size_ += bytes;
    data_[size_] = 0;
    return *this;
  }
  void Clear() { size_ = 0, data_[0] = 0; }
  Text& Add(uint64_t number) {
    char digits[20];
    uint32_t first = sizeof(digits);
    do digits[--first] = static_cast<char>('0' + number % 10), number /= 10;
    while (number != 0);
    while (first < sizeof(digits)) Put(digits[first++]);
    return *this;
  }
  void Put(char c) {
    if (size_ + 1 >= kCapacity) return;
    data_[size_++] = c;
    data_[size_] = 0;
  }
  const char* Get() const { return data_; }
  char* Data() { return data_; }
  uint32_t Size() const { return size_; }

 private:
  uint32_t size_ = 0;
  char data_[kCapacity] = {};
};

// Copies at most capacity - 1 characters and ends them with NUL. Returns the length copied.
inline uint32_t CopyText(char* to, uint32_t capacity, const char* from) {
  uint32_t n = 0;
  while (from != nullptr && from[n] != 0 && n + 1 < capacity) to[n] = from[n], ++n;
  to[n] = 0;
  return n;
}

}  // namespace leakhunt::sys
