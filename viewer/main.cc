// leakhunt-report: reads recordings, prints reports.
#include <iostream>
#include <string>
#include <vector>

#include "viewer/render/terminal.h"
#include "viewer/report_program.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::vector<std::string> arguments(argv + 1, argv + argc);
  int status = leakhunt::viewer::RunReport(arguments, std::cout, std::cerr, leakhunt::viewer::DetectTerminal());
  std::cout.flush();
  if (status == 0 && !std::cout) {
    std::cerr << "leakhunt-report: cannot write to standard output\n";
    return 1;
  }
  return status;
}
