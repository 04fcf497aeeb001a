#include "collector/watch/memory_classes.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace leakhunt::watch {
namespace {

constexpr uint64_t kMaxGuardBytes = 64 << 10;

struct Mapping {
  uint64_t start = 0, end = 0;
  std::string_view permissions, name;
  uint64_t inode = 0;
};

uint64_t TakeNumber(std::string_view* text, int base) {
  uint64_t number = 0;
  auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), number, base);
  text->remove_prefix(static_cast<size_t>(rest - text->data()));
  return number;
}

std::string_view TakeWord(std::string_view* text) {
  size_t begin = std::min(text->find_first_not_of(' '), text->size());
  size_t end = std::min(text->find(' ', begin), text->size());
  std::string_view word = text->substr(begin, end - begin);
  text->remove_prefix(end);
  return word;
}

// "7f..-7f.. rw-p 00000000 00:00 0      [stack]"; an attribute line ("Rss:  4 kB") is not one.
bool ParseMapping(std::string_view line, Mapping* mapping) {
  size_t space = line.find(' ');
  size_t dash = line.find('-');
  if (dash == std::string_view::npos || space == std::string_view::npos || dash > space) return false;
  mapping->start = TakeNumber(&line, 16);
  if (line.empty() || line[0] != '-') return false;
  line.remove_prefix(1);
  mapping->end = TakeNumber(&line, 16);
  mapping->permissions = TakeWord(&line);
  TakeWord(&line);  // offset
  TakeWord(&line);  // device
  std::string_view inode = TakeWord(&line);
  mapping->inode = TakeNumber(&inode, 10);
  size_t name = line.find_first_not_of(' ');
  mapping->name = name == std::string_view::npos ? std::string_view() : line.substr(name);
  return true;
}

bool IsGuard(const Mapping& mapping) {
  return mapping.permissions.substr(0, 3) == "---" && mapping.inode == 0 &&
         mapping.end - mapping.start <= kMaxGuardBytes;
}

bool IsShared(const Mapping& mapping) {
  return mapping.name.starts_with("/memfd:") || mapping.name.starts_with("/SYSV") ||
         mapping.name.starts_with("/dev/zero") || mapping.name.starts_with("/dev/shm/") ||
         mapping.name.starts_with("[anon_shmem");
}

uint64_t MemoryClasses::*ClassOf(const Mapping& mapping, const Mapping& below) {
  if (mapping.name.starts_with("/memfd:leakhunt")) return &MemoryClasses::leakhunt_bytes;
  if (mapping.name.starts_with("[stack")) return &MemoryClasses::stack_bytes;
  if (IsShared(mapping)) return &MemoryClasses::shared_bytes;
  if (mapping.inode != 0 || mapping.name.starts_with("/")) return &MemoryClasses::file_bytes;
  bool unnamed = mapping.name.empty() || mapping.name.starts_with("[anon");
  if (unnamed && below.end == mapping.start && IsGuard(below)) return &MemoryClasses::stack_bytes;
  return &MemoryClasses::anonymous_bytes;
}

}  // namespace

MemoryClasses ParseSmaps(std::string_view text) {
  MemoryClasses classes;
  Mapping current, below;
  uint64_t MemoryClasses::*kind = &MemoryClasses::anonymous_bytes;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    Mapping mapping;
    if (ParseMapping(line, &mapping)) {
      below = current;
      current = mapping;
      kind = ClassOf(current, below);
      continue;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view key = line.substr(0, colon);
    if (key != "Rss" && key != "Pss" && key != "Swap") continue;
    std::string_view rest = line.substr(colon + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    uint64_t bytes = TakeNumber(&rest, 10) * 1024;
    if (key == "Rss") {
      classes.rss_bytes += bytes;
      classes.*kind += bytes;
    } else if (key == "Pss") {
      classes.pss_bytes += bytes;
    } else {
      classes.swap_bytes += bytes;
    }
  }
  return classes;
}

}  // namespace leakhunt::watch
