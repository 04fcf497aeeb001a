// STL churn with known survivors: strings, vectors that grow, lists, maps, shared pointers, exceptions in flight.
#include <list>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

auto* survivors = new std::vector<std::shared_ptr<std::string>>;
auto* index_of = new std::unordered_map<int, std::list<std::string>>;

void Churn(int round) {
  std::map<int, std::string> words;
  for (int i = 0; i < 200; ++i) words[i * 7919 % 613] = std::string(static_cast<size_t>(i % 90), 'w');
  if (round % 5 == 0) survivors->push_back(std::make_shared<std::string>(words.begin()->second + std::string(64, 's')));
  (*index_of)[round % 17].push_back(std::string(static_cast<size_t>(round) + 16, 'i'));
  if (round % 4 == 0) index_of->erase((round + 3) % 17);
  if (round % 10 == 0) throw std::runtime_error("thrown with a message that is too long for any small buffer");
}

}  // namespace

int main() {
  for (int round = 0; round < 100; ++round) {
    try {
      Churn(round);
    } catch (const std::exception&) {
    }
  }
  return 0;
}
