/// Weft's version, as `--version` prints it.
public let weftVersion = "0.1.0"
