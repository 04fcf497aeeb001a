#include "collector/watch/memory_map.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace leakhunt::watch {
namespace {

constexpr uint64_t kMaxGuardBytes = 64 << 10;
constexpr uint64_t kKiB = 1024;

struct Heading {
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
bool ParseHeading(std::string_view line, Heading* heading) {
  size_t space = line.find(' ');
  size_t dash = line.find('-');
  if (dash == std::string_view::npos || space == std::string_view::npos || dash > space) return false;
  heading->start = TakeNumber(&line, 16);
  if (line.empty() || line[0] != '-') return false;
  line.remove_prefix(1);
  heading->end = TakeNumber(&line, 16);
  heading->permissions = TakeWord(&line);
  TakeWord(&line);  // offset
  TakeWord(&line);  // device
  std::string_view inode = TakeWord(&line);
  heading->inode = TakeNumber(&inode, 10);
  size_t name = line.find_first_not_of(' ');
  heading->name = name == std::string_view::npos ? std::string_view() : line.substr(name);
  return heading->start < heading->end;
}

bool IsGuard(const Heading& heading) {
  return heading.permissions.substr(0, 3) == "---" && heading.inode == 0 &&
         heading.end - heading.start <= kMaxGuardBytes;
}

bool IsShared(const Heading& heading) {
  return heading.name.starts_with("/memfd:") || heading.name.starts_with("/SYSV") ||
         heading.name.starts_with("/dev/zero") || heading.name.starts_with("/dev/shm/") ||
         heading.name.starts_with("[anon_shmem");
}

class Parser {
 public:
  MemoryMap Parse(std::string_view text) {
    while (!text.empty()) {
      size_t end = std::min(text.find('\n'), text.size());
      Line(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::move(map_);
  }

 private:
  // Attribute lines, of which there are two dozen a mapping, begin with a capital.
  void Line(std::string_view line) {
    if (line.empty()) return;
    if (line[0] < 'A' || line[0] > 'Z') return Begin(line);
    if (map_.areas.empty() || skip_) return;
    MemoryArea& area = map_.areas.back();
    switch (line[0]) {
      case 'R': return Add(line, "Rss:", &area.rss_bytes);
      case 'P': return Add(line, "Pss:", &map_.pss_bytes), Add(line, "Private_Hugetlb:", &area.hugetlb_bytes);
      case 'S': return Add(line, "Swap:", &area.swap_bytes), Add(line, "Shared_Hugetlb:", &area.hugetlb_bytes);
      default: return;
    }
  }

  void Begin(std::string_view line) {
    Heading heading;
    if (!ParseHeading(line, &heading)) return;
    skip_ = !map_.areas.empty() && heading.start < map_.areas.back().end;
    if (skip_) return;
    if (map_.areas.empty()) executable_ = heading.name;
    map_.areas.push_back({heading.start, heading.end, ClassOf(heading)});
    below_ = heading;
  }

  MemoryClass ClassOf(const Heading& heading) const {
    if (heading.name.starts_with("/memfd:leakhunt")) return MemoryClass::kLeakhunt;
    if (heading.name.starts_with("[stack")) return MemoryClass::kStack;
    if (IsShared(heading)) return MemoryClass::kShared;
    if (heading.inode != 0 || heading.name.starts_with("/")) return MemoryClass::kFile;
    const bool unnamed = heading.name.empty() || heading.name.starts_with("[anon");
    if (!unnamed || below_.end != heading.start) return MemoryClass::kAnonymous;
    if (IsGuard(below_)) return MemoryClass::kStack;
    // The kernel puts the executable, its .bss right above, apart from everything else.
    const bool bss = below_.inode != 0 && below_.name == executable_ && below_.permissions.substr(0, 2) == "rw";
    return bss ? MemoryClass::kFile : MemoryClass::kAnonymous;
  }

  static void Add(std::string_view line, std::string_view key, uint64_t* sum) {
    if (!line.starts_with(key)) return;
    line.remove_prefix(key.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    *sum += TakeNumber(&line, 10) * kKiB;
  }

  MemoryMap map_;
  Heading below_;
  std::string_view executable_;
  bool skip_ = false;
};

}  // namespace

uint64_t MemoryMap::RssBytes() const {
  uint64_t sum = 0;
  for (const MemoryArea& area : areas) sum += area.rss_bytes;
  return sum;
}

uint64_t MemoryMap::RssBytesOf(MemoryClass kind) const {
  uint64_t sum = 0;
  for (const MemoryArea& area : areas) sum += area.kind == kind ? area.rss_bytes : 0;
  return sum;
}

MemoryMap ParseMemoryMap(std::string_view smaps) { return Parser().Parse(smaps); }

}  // namespace leakhunt::watch
