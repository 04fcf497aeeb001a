// Lengths and copies of short text, at every offset and up to the last byte of what is mapped.
#include "preload/sys/text.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <string>

namespace leakhunt::sys {
namespace {

constexpr size_t kPage = 4096;

// Two pages, the second of which is not to be touched.
class PageEnd {
 public:
  PageEnd() : start_(static_cast<char*>(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    mprotect(start_ + kPage, kPage, PROT_NONE);
    memset(start_, 'x', kPage);
  }
  ~PageEnd() { munmap(start_, 2 * kPage); }
  PageEnd(const PageEnd&) = delete;
  PageEnd& operator=(const PageEnd&) = delete;
  // The last `bytes` of the page.
  char* Last(size_t bytes) { return start_ + kPage - bytes; }
  char* Start() { return start_; }

 private:
  char* start_;
};

constexpr uint32_t kCapacity = 88;

TEST(ShortText, CopiedUpToTheEndOfAPage) {
  PageEnd page;
  for (size_t length = 0; length < 200; ++length) {
    char* text = page.Last(length + 1);
    for (size_t i = 0; i < length; ++i) text[i] = static_cast<char>('A' + i % 50);
    text[length] = 0;
    char copy[kCapacity + 8] = {};
    memset(copy + kCapacity, '.', 8);
    const uint32_t copied = CopyShortText<kCapacity>(copy, text);
    if (copied <= kCapacity) {
      ASSERT_EQ(copied, length);
      ASSERT_EQ(memcmp(copy, text, length), 0);
    }
    ASSERT_EQ(memcmp(copy + kCapacity, "........", 8), 0);
  }
}

TEST(ShortText, CopiedFromEveryOffset) {
  PageEnd page;
  for (size_t offset = 0; offset < 32; ++offset) {
    for (size_t length = 0; length < 120; ++length) {
      memset(page.Start(), 0, 256);  // an end before the text must not count
      memset(page.Start() + offset, '/', length);
      char copy[kCapacity];
      const uint32_t copied = CopyShortText<kCapacity>(copy, page.Start() + offset);
      ASSERT_TRUE(copied == length || (copied > kCapacity && length >= kCapacity / 16 * 16)) << offset << ", " << length;
      if (copied <= kCapacity) {
        ASSERT_EQ(std::string(copy, copied), std::string(length, '/'));
      }
    }
  }
}

TEST(ShortText, CopiesSoManyBytesAndNoOther) {
  PageEnd from, to;
  for (size_t bytes = 0; bytes < 120; ++bytes) {
    for (size_t i = 0; i < bytes; ++i) from.Last(bytes)[i] = static_cast<char>('A' + i % 50);
    memset(to.Last(200), '.', 200);
    CopyShort(to.Last(bytes), from.Last(bytes), static_cast<uint32_t>(bytes));
    ASSERT_EQ(memcmp(to.Last(bytes), from.Last(bytes), bytes), 0) << bytes;
    ASSERT_EQ(std::string(to.Last(200), 200 - bytes), std::string(200 - bytes, '.')) << bytes;
  }
}

TEST(Text, WhatDoesNotFitIsCut) {
  Text<8> text;
  text.Add("abc", 3).Add(uint64_t{12'345}).Add("tail", 4);
  EXPECT_STREQ(text.Get(), "abc1234");
  EXPECT_EQ(text.Size(), 7u);
  text.Clear();
  EXPECT_STREQ(text.Add("0123456789", 10).Get(), "0123456");
}

}  // namespace
}  // namespace leakhunt::sys
