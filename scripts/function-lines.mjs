// How long the functions of a TypeScript file are.
import { parseSync } from '@swc/core'

const FUNCTIONS = [
  'ArrowFunctionExpression',
  'ClassMethod',
  'Constructor',
  'FunctionDeclaration',
  'FunctionExpression',
  'GetterProperty',
  'MethodProperty',
  'PrivateMethod',
  'SetterProperty',
]

/**
 * The first line of each function and how many lines it has of its own. Functions within it are counted by themselves,
 * since a factory is read one closure at a time.
 */
export function linesOfFunctions(text) {
  const bytes = Buffer.from(text)
  const { body } = parseSync(text, { syntax: 'typescript', target: 'es2022' })
  const starts = [0, ...[...bytes.keys()].filter((at) => bytes[at] === NEWLINE).map((at) => at + 1)]
  const lineAt = (position) => lineOf(starts, position - 1) // the first byte of a text has position 1
  const found = []
  visit(body, undefined, { found, lineAt })
  return found.map(({ from, to, within }) => ({ from, lines: to - from + 1 - within.size }))
}

const NEWLINE = 10

function visit(node, parent, into) {
  if (node === null || typeof node !== 'object') return
  const own = FUNCTIONS.includes(node.type) ? begin(node, parent, into) : parent
  for (const [key, value] of Object.entries(node)) if (key !== 'span') visit(value, own, into)
}

function begin(node, parent, { found, lineAt }) {
  const { start, end } = node.span ?? node.function.span
  const one = { from: lineAt(start), to: lineAt(end - 1), within: new Set() }
  for (let line = one.from + 1; line <= one.to; line += 1) parent?.within.add(line)
  found.push(one)
  return one
}

function lineOf(starts, position) {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (starts[middle] <= position) low = middle
    else high = middle - 1
  }
  return low + 1
}
