// Result<T>: a value or one readable error. Host code returns errors; only main() prints them, once.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace leakhunt {

// What went wrong, ready to be printed after "PROGRAM: ". Says what, where and why:
// "cannot read X: truncated at 4096 of 9000 bytes". Context is added on the way up with Wrap.
struct Error {
  std::string message;
  int exit_code = 1;    // what main() leaves with
  int errno_value = 0;  // where the kernel refused something; 0 = it did not

  Error Wrap(const std::string& context) && { return Error{context + ": " + message, exit_code, errno_value}; }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};
using Status = Result<Unit>;
inline Status Ok() { return Unit{}; }

// Error from errno: ErrnoError("cannot open /x", ENOENT) -> "cannot open /x: No such file or directory".
Error ErrnoError(const std::string& what, int errno_value);

}  // namespace leakhunt
