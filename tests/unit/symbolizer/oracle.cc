// Running and parsing the oracles; see oracle.h.
#include "oracle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace leakhunt::symbolizer {
namespace {

std::string WriteAddresses(const std::vector<uint64_t>& addresses) {
  const std::string path = testing::TempDir() + "addresses-" + std::to_string(getpid());
  std::ofstream out(path);
  for (uint64_t address : addresses) out << "0x" << std::hex << address << "\n";
  return path;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// "FILE:LINE:COLUMN" or "FILE:LINE", maybe " (discriminator 2)"; "??:0" and "FILE:?" are unknown.
void ParsePlace(std::string text, SourceFrame* frame) {
  text = text.substr(0, text.find(" (discriminator"));
  std::vector<uint32_t> numbers;
  while (numbers.size() < 2) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || text.find_first_not_of("0123456789", colon + 1) != std::string::npos) break;
    numbers.insert(numbers.begin(), static_cast<uint32_t>(std::strtoul(text.c_str() + colon + 1, nullptr, 10)));
    text.resize(colon);
  }
  frame->file = text == "??" ? "" : text;
  frame->line = numbers.empty() ? 0 : numbers[0];
  frame->column = numbers.size() < 2 ? 0 : numbers[1];
}

SourceFrame ParseFrame(const std::string& function, const std::string& place) {
  SourceFrame frame;
  frame.function = function == "??" ? "" : function;
  ParsePlace(place, &frame);
  return frame;
}

}  // namespace

std::string RunCommand(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << "cannot run " << command;
    return {};
  }
  std::string output;
  char buffer[65536];
  while (size_t got = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return output;
}

FramesByAddress AskBinutils(const std::string& file, const std::vector<uint64_t>& addresses) {
  const std::string input = WriteAddresses(addresses);
  FramesByAddress frames;
  uint64_t address = 0;
  const std::vector<std::string> lines = Lines(RunCommand("addr2line -a -i -f -C -e '" + file + "' < " + input));
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].size() == 18 && lines[i].starts_with("0x")) {
      address = std::strtoull(lines[i].c_str(), nullptr, 16);
    } else if (i + 1 < lines.size()) {
      frames[address].push_back(ParseFrame(lines[i], lines[i + 1]));
      ++i;
    }
  }
  unlink(input.c_str());
  return frames;
}

FramesByAddress AskLlvm(const std::string& program, const std::string& file, const std::vector<uint64_t>& addresses) {
  const std::string input = WriteAddresses(addresses);
  FramesByAddress frames;
  size_t next = 0;
  const std::vector<std::string> lines = Lines(RunCommand(program + " --no-demangle -i -e '" + file + "' < " + input));
  for (size_t i = 0; i < lines.size() && next < addresses.size(); ++i) {
    if (lines[i].empty()) {
      ++next;
    } else if (i + 1 < lines.size()) {
      frames[addresses[next]].push_back(ParseFrame(Demangle(lines[i]), lines[i + 1]));
      ++i;
    }
  }
  unlink(input.c_str());
  return frames;
}

std::vector<uint64_t> CodeAddresses(const std::string& file, uint64_t stride) {
  std::vector<uint64_t> addresses;
  for (const std::string& line : Lines(RunCommand("readelf -sW '" + file + "'"))) {
    std::istringstream in(line);
    std::string number, value, size, type, binding, visibility, section;
    in >> number >> value >> size >> type >> binding >> visibility >> section;
    if (type != "FUNC" || section == "UND") continue;
    const uint64_t start = std::strtoull(value.c_str(), nullptr, 16);
    const uint64_t end = start + std::strtoull(size.c_str(), nullptr, 0);
    for (uint64_t address = start; address < end; address += stride) addresses.push_back(address);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());  // aliases
  return addresses;
}

}  // namespace leakhunt::symbolizer
