// What pprof's own readers see in the exported file.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <protozero/pbf_reader.hpp>
#include <sstream>

#include "sample_profile.h"
#include "viewer/export/export.h"

namespace leakhunt::viewer {
namespace {

std::string Exported(const Profile& profile) {
  std::ostringstream out;
  ExportPprof(profile, out);
  return out.str();
}

std::string Gunzip(const std::string& packed) {
  std::string bytes(16u << 20, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  bytes.resize(stream.total_out);
  inflateEnd(&stream);
  return bytes;
}

struct Decoded {
  std::vector<std::string> strings;
  std::vector<std::pair<int64_t, int64_t>> sample_types;
  std::vector<std::vector<uint64_t>> sample_locations;
  std::vector<std::vector<int64_t>> sample_values;
  std::vector<uint64_t> mapping_ids, function_ids, location_ids;
  std::map<uint64_t, std::vector<uint64_t>> location_functions;  // innermost first
  std::map<uint64_t, std::string> function_names;
  std::vector<std::string> build_ids;
  int64_t duration = -1, default_type = -1, period = -1, time = -1;
};

void DecodeLocation(protozero::pbf_reader location, Decoded* decoded) {
  uint64_t id = 0;
  std::vector<uint64_t> functions;
  while (location.next()) {
    if (location.tag() == 1) {
      id = location.get_uint64();
    } else if (location.tag() == 4) {
      protozero::pbf_reader line = location.get_message();
      while (line.next()) line.tag() == 1 ? functions.push_back(line.get_uint64()) : line.skip();
    } else {
      location.skip();
    }
  }
  decoded->location_ids.push_back(id);
  decoded->location_functions[id] = functions;
}

Decoded Decode(const std::string& bytes) {
  Decoded decoded;
  std::vector<std::pair<uint64_t, int64_t>> names;
  std::vector<int64_t> build_ids;
  protozero::pbf_reader profile(bytes);
  while (profile.next()) {
    switch (profile.tag()) {
      case 1: {
        protozero::pbf_reader type = profile.get_message();
        std::pair<int64_t, int64_t> value;
        while (type.next()) (type.tag() == 1 ? value.first : value.second) = type.get_int64();
        decoded.sample_types.push_back(value);
        break;
      }
      case 2: {
        protozero::pbf_reader sample = profile.get_message();
        auto& locations = decoded.sample_locations.emplace_back();
        auto& values = decoded.sample_values.emplace_back();
        while (sample.next()) {
          if (sample.tag() == 1) {
            for (uint64_t id : sample.get_packed_uint64()) locations.push_back(id);
          } else if (sample.tag() == 2) {
            for (int64_t value : sample.get_packed_int64()) values.push_back(value);
          } else {
            sample.skip();
          }
        }
        break;
      }
      case 3: {
        protozero::pbf_reader mapping = profile.get_message();
        while (mapping.next()) {
          if (mapping.tag() == 1) decoded.mapping_ids.push_back(mapping.get_uint64());
          else if (mapping.tag() == 6) build_ids.push_back(mapping.get_int64());
          else mapping.skip();
        }
        break;
      }
      case 4: DecodeLocation(profile.get_message(), &decoded); break;
      case 5: {
        protozero::pbf_reader function = profile.get_message();
        auto& name = names.emplace_back();
        while (function.next()) {
          if (function.tag() == 1) name.first = function.get_uint64();
          else if (function.tag() == 2) name.second = function.get_int64();
          else function.skip();
        }
        decoded.function_ids.push_back(name.first);
        break;
      }
      case 6: decoded.strings.push_back(profile.get_string()); break;
      case 9: decoded.time = profile.get_int64(); break;
      case 10: decoded.duration = profile.get_int64(); break;
      case 12: decoded.period = profile.get_int64(); break;
      case 14: decoded.default_type = profile.get_int64(); break;
      default: profile.skip();
    }
  }
  for (const auto& [id, name] : names) decoded.function_names[id] = decoded.strings.at(name);
  for (int64_t build_id : build_ids) decoded.build_ids.push_back(decoded.strings.at(build_id));
  return decoded;
}

std::vector<uint64_t> OneTo(size_t count) {
  std::vector<uint64_t> ids;
  for (size_t i = 1; i <= count; ++i) ids.push_back(i);
  return ids;
}

TEST(ExportPprof, SampleTypesInTheOrderReadersExpect) {
  const Decoded decoded = Decode(Gunzip(Exported(SampleProfile())));
  std::vector<std::string> names;
  for (const auto& [type, unit] : decoded.sample_types) names.push_back(decoded.strings.at(type) + "/" + decoded.strings.at(unit));
  EXPECT_EQ(names, (std::vector<std::string>{"alloc_objects/count", "alloc_space/bytes", "inuse_objects/count",
                                             "inuse_space/bytes"}));
  EXPECT_EQ(decoded.strings.at(decoded.default_type), "inuse_space");
  EXPECT_EQ(decoded.strings.at(0), "");
}

TEST(ExportPprof, ALiveHeapHasNoDuration) {
  const Decoded decoded = Decode(Gunzip(Exported(SampleProfile())));
  EXPECT_EQ(decoded.duration, 0);
  EXPECT_EQ(decoded.period, 524'288);
  EXPECT_EQ(decoded.time, 1'700'000'000'123'000'000);
}

TEST(ExportPprof, IdsCountFromOne) {
  const Decoded decoded = Decode(Gunzip(Exported(SampleProfile())));
  EXPECT_EQ(decoded.mapping_ids, OneTo(2));
  EXPECT_EQ(decoded.location_ids, OneTo(5));
  EXPECT_EQ(decoded.function_ids, OneTo(7));
  EXPECT_EQ(decoded.build_ids, (std::vector<std::string>{"abcdef0123", ""}));
}

TEST(ExportPprof, InlinedFramesAreLinesOfOneLocation) {
  const Decoded decoded = Decode(Gunzip(Exported(SampleProfile())));
  ASSERT_EQ(decoded.sample_locations.size(), 4u);
  ASSERT_EQ(decoded.sample_locations[0].size(), 2u);
  std::vector<std::string> names;
  for (uint64_t function : decoded.location_functions.at(decoded.sample_locations[0][0])) {
    names.push_back(decoded.function_names.at(function));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"std::vector<int, std::allocator<int> >::push_back",
                                             "Request::parse(char const*)", "handle_request"}));
  EXPECT_EQ(decoded.sample_locations[0][1], decoded.sample_locations[1][1]) << "main is one location";
  EXPECT_TRUE(decoded.sample_locations[3].empty());
  EXPECT_EQ(decoded.sample_values[0], (std::vector<int64_t>{100, 409'600, 10, 40'960}));
}

TEST(ExportPprof, EqualProfilesAreEqualFiles) { EXPECT_EQ(Exported(SampleProfile()), Exported(SampleProfile())); }

TEST(ExportPprof, AnEmptyProfileIsAProfile) {
  const Decoded decoded = Decode(Gunzip(Exported(Profile())));
  EXPECT_EQ(decoded.duration, 0);
  EXPECT_TRUE(decoded.sample_values.empty());
}

// More than one part of the compressor's buffers.
TEST(ExportPprof, BigProfilesAreWhole) {
  Profile profile = SampleProfile();
  for (uint32_t i = 0; i < 50'000; ++i) {
    profile.frames.push_back({"function_" + std::to_string(i * 7919), "/srv/src/big.cc", i, 0, 0, 0x10000 + i, false});
    profile.samples.push_back({{static_cast<uint32_t>(profile.frames.size() - 1), 3}, {1, i, 1, i}, {}});
  }
  const Decoded decoded = Decode(Gunzip(Exported(profile)));
  EXPECT_EQ(decoded.sample_values.size(), 50'004u);
  EXPECT_EQ(decoded.function_ids, OneTo(50'007));
}

std::string Top(const std::string& file, const std::string& option) {
  FILE* pipe = popen(("env HOME=/tmp go tool pprof -top -nodefraction=0 " + option + " -unit=bytes " + file + " 2>&1").c_str(), "r");
  std::string text;
  char buffer[4096];
  while (size_t got = fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << text;
  return text;
}

TEST(ExportPprof, GoToolPprofReadsIt) {
  if (std::system("command -v go >/dev/null 2>&1") != 0) GTEST_SKIP() << "go is not installed";
  const std::string file = testing::TempDir() + "export_pprof_test.pb.gz";
  std::ofstream(file, std::ios::binary) << Exported(SampleProfile());
  const std::string live = Top(file, "");
  EXPECT_NE(live.find("Type: inuse_space"), std::string::npos) << live;
  EXPECT_NE(live.find("of 41970B total"), std::string::npos) << live;
  EXPECT_NE(live.find("40960B 97.59% 97.59%     40960B 97.59%  std::vector"), std::string::npos) << live;
  EXPECT_NE(live.find("Request::parse"), std::string::npos) << live;
  const std::string all = Top(file, "-sample_index=alloc_space");
  EXPECT_EQ(all.find("symbolization"), std::string::npos) << all;
  EXPECT_NE(all.find("libplain.so+0x1a2b"), std::string::npos) << all;
  std::remove(file.c_str());
}

}  // namespace
}  // namespace leakhunt::viewer
