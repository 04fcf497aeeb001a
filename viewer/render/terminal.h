// What the report may assume of where it is shown.
#pragma once

namespace leakhunt::viewer {

struct Terminal {
  int width = 100;     // columns; 100 when not a terminal
  bool colour = false;
  bool shown = false;  // output goes to a terminal at all
};

// Of standard output: COLUMNS, else the terminal's own width; colour on a terminal unless NO_COLOR is set or TERM is dumb.
Terminal DetectTerminal();

}  // namespace leakhunt::viewer
