// The guest's end of the socket: find a collector or start one, hand over the pages, stay in touch without waiting.
//
// Slow path and constructor only. No call blocks beyond the bounds said here; no signal is raised (MSG_NOSIGNAL). A
// descriptor that the program closed behind our back is noticed by its inode before each use and given up.
#pragma once

#include <cstdint>

#include "preload/protocol/handshake.h"
#include "preload/sys/hot.h"

namespace leakhunt::transport {

struct Settings {  // of Welcome
  bool received = false;
  uint64_t fixed_interval = 0;
  uint32_t budget_ppm = 0;
  uint32_t track = 0;
  bool follow_children = true;
};

// Whether Connect waits, 100 ms at most, for the collector's answer. kOfAnother: only of a collector that is not our own
// user's, because it may refuse us without a word.
enum class Answer : uint8_t { kNotAwaited, kOfAnother, kAwaited };

// Tries the usual sockets in the contract's order. `settings`: of the answer, when one came; may be null.
bool Connect(const char* preferred_path, int memfd, uint32_t image, Answer answer, Settings* settings);
// True once a collector said that it does not record this process.
bool Refused();
// True once Connect was called in this process.
bool SoughtCollector();
// For a process that did not find one: tries again, the first few times at once (a collector that is being started will
// listen in some milliseconds), then as KeepConnected does.
void SeekAgain();

// Starts a collector beside the program, with Hello and the memfd already in its socket. False when there is none to
// start or the kernel refuses. Waits for nothing but the intermediate child (about a millisecond).
// `complained`: the program's user was told that nothing can be written; the collector need not say it again.
bool Spawn(const char* library_path, const char* const* environment, int memfd, uint32_t image, bool complained);

bool Connected();

// Once a tick: notices a lost collector, reconnects at most once a second, tells of growth.
void KeepConnected(uint64_t now_ns);

// Reads what the collector has said so far, without waiting: at the program's end, which may come before any tick.
void ListenOnce();

// One message, never blocking; text may be null.
void Tell(protocol::MessageKind kind, uint64_t value0, uint64_t value1, const char* text);

// In a forked child: closes the copies of its parent's descriptors and starts unconnected.
void ForgetConnection(int parent_memfd);

// `lowest` is asked of numbers below this alone: those that the descriptor table finds at once.
inline constexpr uint32_t kNearNumbers = 1024;
// The numbers of the descriptors leakhunt keeps, -1 for none: its connection and its pages.
struct OwnNumbers {
  uint32_t lowest = kNearNumbers;  // no number below it is one of them
  int connection = -1, memfd = -1;
};
LEAKHUNT_HIDDEN extern constinit OwnNumbers g_own;

// True for the descriptors leakhunt keeps. The program may have closed ours by a raw system call and have the number now: the
// inode tells.
LEAKHUNT_ASIDE bool NumberIsStillOurs(int fd);
inline bool IsOwnDescriptor(int fd) {
  return __builtin_expect(fd == g_own.connection || fd == g_own.memfd, 0) && NumberIsStillOurs(fd);
}

// The numbers of the two, lower first; -1 for one that is not there.
void OwnDescriptors(int* first, int* second);

// The program is about to put something of its own on `fd`: if that is ours, ours becomes a duplicate with another
// number, which is returned (-1: none was free, and ours is lost). The caller's dup2 closes the old number.
int VacateDescriptor(int fd);
void SetOwnMemfd(int fd);

// Copies $XDG_RUNTIME_DIR: programs that set their title overwrite the original.
void SetRuntimeDirectory(const char* const* environment);

}  // namespace leakhunt::transport
