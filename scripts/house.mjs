// `npm run house`: how far the rooms of src are from two laws of the house. It reports and never fails on what it finds.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { rooms, roomOf } = createRequire(import.meta.url)('./rooms.cjs')
const MIN_TOKENS = 60
/** They resemble each other on purpose, so that each tests the other. */
const MAY_RESEMBLE = ['src/mock/loop', 'src/loop/client']

const folder = mkdtempSync(join(tmpdir(), 'loopfleet-house-'))
try {
  reportExports()
  reportDuplicates()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function reportExports() {
  const { issues } = JSON.parse(
    run('knip', ['--production', '--include', 'exports,types,files', '--reporter', 'json', '--no-exit-code']),
  )
  const found = issues.flatMap(({ file, exports = [], types = [], files = [] }) => ({
    room: roomOf(file),
    values: exports.length,
    types: types.length,
    files: files.length,
  }))
  const sum = (room, what) => found.filter((one) => one.room === room).reduce((total, one) => total + one[what], 0)
  print('Exports that nobody imports, and files', ['room', 'values', 'types', 'files'], rooms, (room) => [
    sum(room, 'values'),
    sum(room, 'types'),
    sum(room, 'files'),
  ])
}

function reportDuplicates() {
  const copy = join(folder, 'house')
  cpSync(join(root, 'src'), join(copy, 'src'), { recursive: true })
  for (const file of filesBelow(copy)) writeFileSync(file, withoutImports(readFileSync(file, 'utf8')))
  const report = join(folder, 'report')
  const size = ['--min-tokens', String(MIN_TOKENS), '--min-lines', '1']
  run('jscpd', [...size, '--format', 'typescript', '--reporters', 'json', '--output', report, copy])
  const { duplicates } = JSON.parse(readFileSync(join(report, 'jscpd-report.json'), 'utf8'))
  const between = duplicates
    .map(({ firstFile, secondFile, tokens, lines }) => ({
      sides: [placeOf(firstFile), placeOf(secondFile)],
      tokens,
      lines,
    }))
    .filter(({ sides: [a, b] }) => roomOf(a.file) !== roomOf(b.file))
    .filter(({ sides }) => !MAY_RESEMBLE.every((room) => sides.some(({ file }) => roomOf(file) === room)))
    .sort((a, b) => b.tokens - a.tokens)
  process.stdout.write(`\nDuplicates between rooms, of ${MIN_TOKENS} tokens and more: ${between.length}\n`)
  for (const { sides, tokens, lines } of between) {
    const [a, b] = sides.map(({ file, line }) => `${file}:${line}`)
    process.stdout.write(`  ${tokens} tokens, ${lines} lines: ${a} and ${b}\n`)
  }
}

/** Imports are alike wherever the same things are used; their lines stay, so that places are right. */
function withoutImports(text) {
  return text.replace(/^(?:import|export)\b[^;'"()=]*?from '[^']*'$|^import '[^']*'$/gm, (match) =>
    match.replace(/[^\n]/g, ''),
  )
}

function placeOf({ name, startLoc }) {
  return { file: name, line: startLoc.line }
}

function filesBelow(path) {
  return readdirSync(path)
    .map((name) => join(path, name))
    .flatMap((each) => (statSync(each).isDirectory() ? filesBelow(each) : each.endsWith('.ts') ? [each] : []))
}

function print(title, heads, names, rowOf) {
  const rows = names.map((name) => [name, ...rowOf(name)])
  const totals = heads.slice(1).map((_, index) => rows.reduce((sum, row) => sum + row[index + 1], 0))
  const table = [heads, ...rows, ['all', ...totals]].map((row) => row.map(String))
  const widths = heads.map((_, column) => Math.max(...table.map((row) => row[column].length)))
  process.stdout.write(`\n${title}\n`)
  for (const row of table) {
    const cells = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
    process.stdout.write(`  ${cells.join('  ')}\n`)
  }
}

/** Its output. What a tool finds is no failure; that it gives no answer is one. */
function run(name, args) {
  const { bin } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  const entry = typeof bin === 'string' ? bin : bin[name]
  const script = join(root, 'node_modules', name, entry)
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (status === 0) return stdout
  throw new Error(`${name} ended with code ${status}: ${stderr || stdout.slice(-2000)}`)
}
