// The export formats: one function and one file each. They write to `out` and leave errors of the stream to its owner.
#pragma once

#include <iosfwd>

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

}  // namespace leakhunt::viewer
