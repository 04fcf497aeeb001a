// A fixed number of threads and a bounded queue of work.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace leakhunt::serve {

class Workers {
 public:
  Workers(size_t threads, size_t most_waiting);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();  // waits for the work in hand; what still waits is dropped

  // False when the queue is full. Any thread.
  bool Add(std::function<void()> work);

 private:
  void Work();

  const size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace leakhunt::serve
