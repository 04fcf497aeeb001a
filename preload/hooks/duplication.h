// A call that puts something of the program's on a number that leakhunt holds: leakhunt's goes elsewhere first, so that
// the program gets its number.
#pragma once

namespace leakhunt::hooks {

class MakeWay {
 public:
  explicit MakeWay(int fd);
  // With the real call's result (the number, or -1), which it returns.
  int Settle(int result);

 private:
  int vacated_ = -1;
};

}  // namespace leakhunt::hooks
