// Other people's symbolizers, as oracles: runs one over many addresses and parses what it says.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "symbolizer/symbolizer.h"

namespace leakhunt::symbolizer {

using FramesByAddress = std::map<uint64_t, std::vector<SourceFrame>>;

// binutils' addr2line, which must be installed. Of version 2.40 only the innermost line is to be trusted: it takes names
// of inlined frames from the symbol table, mixes up files 0 and 1 of DWARF 5, and does not know all of clang's ranges.
FramesByAddress AskBinutils(const std::string& file, const std::vector<uint64_t>& addresses);
// llvm-symbolizer at `program`.
FramesByAddress AskLlvm(const std::string& program, const std::string& file, const std::vector<uint64_t>& addresses);

// Every `stride`-th byte of every function symbol of `file`.
std::vector<uint64_t> CodeAddresses(const std::string& file, uint64_t stride);

// Output of a shell command; fails the test when it cannot run or returns non-zero.
std::string RunCommand(const std::string& command);

}  // namespace leakhunt::symbolizer
