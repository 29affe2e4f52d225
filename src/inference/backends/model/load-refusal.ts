/** What ONNX Runtime says of a file that it does not load, and what to do about it. */
const REFUSALS: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    (version, most) =>
      `is of a newer ONNX format than ONNX Runtime reads here (IR version ${version}, at most ${most}); export it with an older release of onnx, or set its ir_version to ${most}`,
  ],
  [
    /Opset (\d+) is under development.*for domain (\S+) is till opset (\d+)/,
    (version, domain, most) =>
      `has operators of a newer set than ONNX Runtime has here (${domain} opset ${version}, at most ${most}); export it with opset ${most} or older`,
  ],
  [/error: (\S+?)(?:\(-?\d+\))? is not a registered function\/op/, unknownOperator],
  [/No Op registered for (\S+)/, unknownOperator],
  [
    /External data|External initializer/i,
    (all) =>
      `lacks files with its tensors, or they are cut off (${all}); deploy it with all of them, or export it into one file`,
  ],
  [/Protobuf parsing failed/, () => 'is no ONNX model, or is cut off (its protobuf cannot be read)'],
]

/** A part of a sentence, whose subject is the file. */
export function whyNotLoaded(message: string): string {
  const plain = message.replace(/^Load model from .*? failed:/, '').trim()
  for (const [pattern, toText] of REFUSALS) {
    const found = pattern.exec(plain)
    if (found !== null) return toText(...(found.length > 1 ? found.slice(1) : [plain]))
  }
  return `cannot be loaded by ONNX Runtime: ${plain}`
}

function unknownOperator(name = ''): string {
  return `has the operator ${name}, which ONNX Runtime does not have here; export it without operators of another runtime (such as the suppression of TensorRT)`
}
