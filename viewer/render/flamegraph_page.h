// The flame graph's page before a profile is filled in.
#pragma once

namespace leakhunt::viewer {

// {{TITLE}} stands where the title goes, as HTML; {{DATA}} where the JSON goes, inside a script element.
extern const char kFlameGraphPage[];

}  // namespace leakhunt::viewer
