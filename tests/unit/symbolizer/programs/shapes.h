// Inlined template code, shared by several units of the sample programs.
#pragma once

#include <string>
#include <vector>

namespace shapes {

template <typename T>
inline T Clamp(T value, T low, T high) {
  if (value < low) return low;
  return value > high ? high : value;
}

class Shape {
 public:
  virtual ~Shape() = default;
  virtual double Area() const = 0;
};

class Polygon : public Shape {
 public:
  explicit Polygon(std::vector<double> sides) : sides_(std::move(sides)) {}
  double Area() const override;
  inline double Longest() const {
    double longest = 0;
    for (double side : sides_) longest = Clamp(side, longest, side);
    return longest;
  }

 private:
  std::vector<double> sides_;
};

std::string Describe(const Polygon& polygon, int depth);

}  // namespace shapes
