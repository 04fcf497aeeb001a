// Text without libc: bounded building and parsing, for log lines, /proc paths and environment values.
#pragma once

#include <cstdint>

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

// Builds a NUL-terminated string in a fixed buffer; what does not fit is cut.
template <uint32_t kCapacity>
class Text {
 public:
  Text& Add(const char* text) {
    while (text != nullptr && *text != 0) Put(*text++);
    return *this;
  }
  Text& Add(uint64_t number) {
    char digits[24];
    int n = 0;
    do digits[n++] = static_cast<char>('0' + number % 10), number /= 10;
    while (number != 0);
    while (n > 0) Put(digits[--n]);
    return *this;
  }
  void Put(char c) {
    if (size_ + 1 < kCapacity) data_[size_++] = c;
    data_[size_] = 0;
  }
  const char* Get() const { return data_; }
  char* Data() { return data_; }
  uint32_t Size() const { return size_; }

 private:
  char data_[kCapacity] = {};
  uint32_t size_ = 0;
};

// Copies at most capacity - 1 characters and ends them with NUL. Returns the length copied.
inline uint32_t CopyText(char* to, uint32_t capacity, const char* from) {
  uint32_t n = 0;
  while (from != nullptr && from[n] != 0 && n + 1 < capacity) to[n] = from[n], ++n;
  to[n] = 0;
  return n;
}

}  // namespace leakhunt::sys
