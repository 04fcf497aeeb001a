// The guest's memmove and its kin under other names, beside libc's.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#define memcpy OurMemcpy
#define memmove OurMemmove
#define memset OurMemset
#define strlen OurStrlen
#include "preload/sys/string_functions.cc"
#undef memcpy
#undef memmove
#undef memset
#undef strlen

namespace {

std::vector<unsigned char> Numbers(size_t count) {
  std::vector<unsigned char> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<unsigned char>(i * 7 + i / 251);
  return numbers;
}

TEST(StringFunctions, MoveAsLibcDoesHoweverTheTwoLie) {
  for (size_t bytes = 0; bytes <= 130; ++bytes) {
    for (size_t from = 0; from <= 40; ++from) {
      for (size_t to = 0; to <= 40; ++to) {
        std::vector<unsigned char> ours = Numbers(200), theirs = ours;
        EXPECT_EQ(OurMemmove(&ours[to], &ours[from], bytes), &ours[to]);
        std::memmove(&theirs[to], &theirs[from], bytes);
        ASSERT_EQ(ours, theirs) << bytes << " bytes from " << from << " to " << to;
      }
    }
  }
}

TEST(StringFunctions, CopyAndSetWhatIsAskedAndNoMore) {
  const std::vector<unsigned char> source = Numbers(400);
  for (size_t bytes = 0; bytes <= 300; ++bytes) {
    std::vector<unsigned char> ours(400, 1), theirs = ours;
    OurMemcpy(&ours[9], &source[5], bytes);
    std::memcpy(&theirs[9], &source[5], bytes);
    ASSERT_EQ(ours, theirs) << bytes;
    EXPECT_EQ(OurMemset(&ours[3], 0x1A5, bytes), &ours[3]);
    std::memset(&theirs[3], 0x1A5, bytes);
    ASSERT_EQ(ours, theirs) << bytes;
  }
}

TEST(StringFunctions, LengthsFromEveryAlignment) {
  alignas(16) char text[160];
  for (size_t start = 0; start < 16; ++start) {
    for (size_t length = 0; length < 120; ++length) {
      std::memset(text, '\x81', sizeof(text));
      text[start + length] = 0;
      ASSERT_EQ(OurStrlen(text + start), length) << "from " << start;
    }
  }
}

}  // namespace
