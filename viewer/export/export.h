// The export formats: one function and one file each. They write to `out` and leave errors of the stream to its owner.
#pragma once

#include <iosfwd>

#include "collector/base/result.h"
#include "viewer/export/profile.h"

namespace leakhunt::viewer {

// pprof's profile.proto, gzip'd: all value types, inlined frames as lines of one location, build-ids in the mappings.
void ExportPprof(const Profile& profile, std::ostream& out);

// "outer;inner 4096" a line, for flamegraph.pl and its kind: one value type. Equal stacks are summed, zeros left out;
// sorted by stack.
void ExportCollapsed(const Profile& profile, size_t value, std::ostream& out);

// speedscope's own JSON, one profile a value type, the default one shown first.
void ExportSpeedscope(const Profile& profile, std::ostream& out);

// RFC 4180, a header, a row a sample: its values, labels, innermost frame, and the stack outermost first.
void ExportCsv(const Profile& profile, std::ostream& out);

// heaptrack's data file: heaptrack_print and heaptrack_gui open it. Events made up so that its sums are the profile's.
void ExportHeaptrack(const Profile& profile, std::ostream& out);

// Firefox Profiler's JSON, a thread a value type.
void ExportFirefox(const Profile& profile, std::ostream& out);

// OpenTelemetry's profiles signal, protobuf: what an OTLP receiver takes.
void ExportOtlp(const Profile& profile, std::ostream& out);

// A SQLite database of sites, stacks, frames and modules, made in memory and written at once.
Status ExportSqlite(const Profile& profile, std::ostream& out);

}  // namespace leakhunt::viewer
