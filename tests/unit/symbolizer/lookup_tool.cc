// `lookup_tool FILE < addresses`: prints what `addr2line -a -i -f -C -e FILE` would, by our symbolizer; with `--time`
// only how long it took. For comparing by hand on big programs.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "symbolizer/elf_file.h"
#include "symbolizer/symbolizer.h"

namespace {

void Print(uint64_t address, const std::vector<leakhunt::symbolizer::SourceFrame>& frames) {
  std::printf("0x%016lx\n", address);
  if (frames.empty()) std::printf("??\n??:0\n");
  for (const auto& frame : frames) {
    std::printf("%s\n%s:%u\n", frame.function.empty() ? "??" : frame.function.c_str(),
                frame.file.empty() ? "??" : frame.file.c_str(), frame.line);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool timing = argc == 3 && std::strcmp(argv[1], "--time") == 0;
  if (argc != 2 && !timing) return 2;
  const std::string path = argv[argc - 1];
  auto file = leakhunt::symbolizer::ElfFile::Open(path);
  if (!file) {
    std::fprintf(stderr, "lookup_tool: %s\n", file.error().message.c_str());
    return 1;
  }
  const auto start = std::chrono::steady_clock::now();
  leakhunt::symbolizer::Symbolizer symbolizer({});
  const leakhunt::symbolizer::ModuleId module{path, (*file)->build_id()};
  std::string text;
  size_t count = 0, frames = 0;
  while (std::getline(std::cin, text)) {
    const uint64_t address = std::stoull(text, nullptr, 16);
    const auto& found = symbolizer.Lookup(module, address);
    ++count;
    frames += found.size();
    if (!timing) Print(address, found);
  }
  for (const std::string& warning : symbolizer.Warnings()) std::fprintf(stderr, "%s\n", warning.c_str());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (timing) std::printf("%zu addresses, %zu frames, %.3f s\n", count, frames, took.count());
}
