// What a receiver of OpenTelemetry profiles sees: the message decoded by its field numbers.
#include <gtest/gtest.h>

#include <protozero/pbf_reader.hpp>
#include <sstream>

#include "sample_profile.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

using protozero::pbf_reader;

// Every occurrence of a length-delimited field.
std::vector<std::string> Fields(const std::string& bytes, uint32_t tag) {
  std::vector<std::string> fields;
  pbf_reader message(bytes);
  while (message.next()) {
    if (message.tag() == tag && message.wire_type() == protozero::pbf_wire_type::length_delimited) {
      fields.emplace_back(message.get_view());
    } else {
      message.skip();
    }
  }
  return fields;
}

int64_t Number(const std::string& bytes, uint32_t tag) {
  pbf_reader message(bytes);
  while (message.next()) {
    if (message.tag() == tag) return message.get_int64();
    message.skip();
  }
  return 0;
}

std::vector<int64_t> Packed(const std::string& bytes, uint32_t tag) {
  std::vector<int64_t> numbers;
  for (const std::string& field : Fields(bytes, tag)) {
    const std::string again = std::string("\x0a") + static_cast<char>(field.size()) + field;
    pbf_reader message(again);
    message.next();
    for (int64_t number : message.get_packed_int64()) numbers.push_back(number);
  }
  return numbers;
}

struct Decoded {
  std::vector<std::string> strings, stacks, locations, functions, mappings, attributes, profiles;
};

Decoded Decode(const Profile& profile) {
  std::ostringstream out;
  ExportOtlp(profile, out);
  const std::string bytes = out.str();
  const std::string dictionary = Fields(bytes, 2).at(0);
  Decoded decoded;
  decoded.mappings = Fields(dictionary, 1);
  decoded.locations = Fields(dictionary, 2);
  decoded.functions = Fields(dictionary, 3);
  decoded.strings = Fields(dictionary, 5);
  decoded.attributes = Fields(dictionary, 6);
  decoded.stacks = Fields(dictionary, 7);
  decoded.profiles = Fields(Fields(Fields(bytes, 1).at(0), 2).at(0), 2);
  return decoded;
}

TEST(ExportOtlp, AProfileForEachValueType) {
  const Decoded d = Decode(SampleProfile());
  ASSERT_EQ(d.profiles.size(), 4u);
  const std::string& live = d.profiles[3];
  const std::string type = Fields(live, 1).at(0);
  EXPECT_EQ(d.strings.at(static_cast<size_t>(Number(type, 1))), "inuse_space");
  EXPECT_EQ(d.strings.at(static_cast<size_t>(Number(type, 2))), "bytes");
  int64_t sum = 0;
  for (const std::string& sample : Fields(live, 2)) sum += Packed(sample, 4).at(0);
  EXPECT_EQ(sum, 41'970);
}

TEST(ExportOtlp, EveryTableBeginsWithItsEmptyEntry) {
  const Decoded d = Decode(SampleProfile());
  EXPECT_EQ(d.strings.at(0), "");
  for (const auto* table : {&d.mappings, &d.locations, &d.functions, &d.attributes, &d.stacks}) EXPECT_EQ(table->at(0), "");
  EXPECT_EQ(d.mappings.size(), 3u);
}

TEST(ExportOtlp, StacksReadBackInnermostFirst) {
  const Decoded d = Decode(SampleProfile());
  const std::string sample = Fields(d.profiles[3], 2).at(0);
  std::vector<std::string> names;
  for (int64_t location : Packed(d.stacks.at(static_cast<size_t>(Number(sample, 1))), 1)) {
    for (const std::string& line : Fields(d.locations.at(static_cast<size_t>(location)), 3)) {
      const std::string& function = d.functions.at(static_cast<size_t>(Number(line, 1)));
      names.push_back(d.strings.at(static_cast<size_t>(Number(function, 1))));
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"std::vector<int, std::allocator<int> >::push_back",
                                             "Request::parse(char const*)", "handle_request", "main"}));
}

TEST(ExportOtlp, AnEmptyProfileIsAMessage) { EXPECT_TRUE(Decode(Profile()).profiles.empty()); }

}  // namespace
}  // namespace leakhunt::viewer
