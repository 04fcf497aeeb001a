// What the ELF fuzzer and the replay of its corpus run: all that the symbolizer does with a file, on any bytes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "collector/base/unique_fd.h"
#include "symbolizer/elf_file.h"
#include "symbolizer/elf_strip.h"
#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {

// Opens the bytes as a module, looks up addresses over its code and beyond, and writes its debug part. Returns how many
// frames were found.
inline size_t SymbolizeBytes(const uint8_t* data, size_t size) {
  UniqueFd file(memfd_create("module", MFD_CLOEXEC));
  if (!file.Valid() || write(file.Get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const std::string path = "/proc/self/fd/" + std::to_string(file.Get());
  auto elf = ElfFile::Open(path);
  const std::string build_id = elf ? (*elf)->build_id() : "";
  Symbolizer symbolizer({});
  size_t frames = 0;
  for (uint64_t address = 0x1000; address < 0x1200; address += 16) {
    frames += symbolizer.Lookup({path, build_id}, address).size();
  }
  for (uint64_t address : {uint64_t{0}, uint64_t{0x401000}, uint64_t{0x2000}, UINT64_MAX}) {
    frames += symbolizer.Lookup({path, build_id}, address).size();
  }
  if (elf) {
    const std::string copy = "/dev/shm/leakhunt-elf-target-" + std::to_string(getpid());
    Status written = WriteDebugOnly(**elf, copy);
    unlink(copy.c_str());
    (void)static_cast<bool>(written);
  }
  return frames;
}

}  // namespace leakhunt::symbolizer
