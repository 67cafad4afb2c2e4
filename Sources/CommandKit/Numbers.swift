// Numbers as people write and read them.

/// A mode as people write it: octal digits behind a 0.
package func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }

/// Digits, without 0x.
package func hexadecimal(_ number: UInt64) -> String { String(number, radix: 16) }

/// Two decimals, without Foundation.
package func decimal(_ value: Double) -> String {
  guard value.isFinite, value >= 0, value < 1e15 else { return "-" }
  let hundredths = UInt64((value * 100).rounded())
  return "\(hundredths / 100).\(hundredths % 100 / 10)\(hundredths % 10)"
}

/// Such as 4.99G: powers of 1024.
package func humanSize(_ bytes: UInt64) -> String {
  var value = Double(bytes)
  var unit = 0
  while value >= 1024 && unit < 5 {
    value /= 1024
    unit += 1
  }
  return unit == 0 ? "\(bytes)" : decimal(value) + ["", "K", "M", "G", "T", "P"][unit]
}
