// Sample code: members, templates, lambdas, an anonymous namespace, recursion, exceptions.
#include "shapes.h"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace shapes {
namespace {

std::map<int, std::string> names = {{3, "triangle"}, {4, "square"}};

inline std::string Name(int sides) {
  const auto found = names.find(sides);
  if (found == names.end()) throw std::out_of_range("sides");
  return found->second;
}

template <typename Visitor>
void Each(const std::vector<double>& values, Visitor visit) {
  for (double value : values) visit(value);
}

}  // namespace

double Polygon::Area() const {
  double sum = 0;
  Each(sides_, [&](double side) { sum += Clamp(side, 0.0, 100.0) * Longest(); });
  return sum;
}

std::string Describe(const Polygon& polygon, int depth) {
  std::string text;
  try {
    text = Name(depth);
  } catch (const std::out_of_range&) {
    text = "polygon";
  }
  std::vector<std::string> parts;
  for (int i = 0; i < depth; ++i) parts.push_back(text + std::to_string(polygon.Area()));
  std::sort(parts.begin(), parts.end(), [](const auto& left, const auto& right) { return left.size() < right.size(); });
  if (depth > 0) text += Describe(polygon, depth - 1);
  for (const std::string& part : parts) text += part;
  return text;
}

}  // namespace shapes
