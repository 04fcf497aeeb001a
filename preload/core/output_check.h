// Whether a collector that this program starts will be able to write recordings, asked while somebody is there to be told.
//
// Such a collector has no stderr of the program's (a pipe must end when the program does), and a short program has ended when
// the collector finds out. Called by the constructor, before a collector is sought. System calls alone.
#pragma once

namespace leakhunt::core {

// 0, or an error as the kernel returns it: no file can be made there. `output`: LEAKHUNT_OUTPUT, "" = unset. `directory`: where
// the program was started, absolute; "" = it was removed.
[[nodiscard]] long OutputError(const char* output, const char* directory);

// Says in one line that recordings are lost, and why.
void SayUnwritable(const char* output, const char* directory, long error);

}  // namespace leakhunt::core
