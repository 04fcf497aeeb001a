// The HTML pages before they are filled (page.h). {{TITLE}} is HTML; {{DATA}} is JSON in a script element.
#pragma once

namespace leakhunt::viewer {

extern const char kFlameGraphPage[];
// Also {{FLAMEGRAPH}}: a whole page, as the value of an attribute.
extern const char kReportPage[];

}  // namespace leakhunt::viewer
