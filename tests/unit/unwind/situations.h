// Functions of the situations test that are compiled with other options than the test itself (chain.cc).
#pragma once

namespace leakhunt::unwind_test {

// Recurse `depth` times in one file's optimization level and frame pointer habit, then compare walks.
int ChainO0(int depth);
int ChainO2(int depth);
int ChainO3FramePointer(int depth);
int ChainO2NoFramePointer(int depth);
int ChainOs(int depth);

// Plain work, without walks, in many small frames.
int ChainWork(int depth);

}  // namespace leakhunt::unwind_test
