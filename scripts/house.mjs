// `npm run house`: how far the rooms of src are from three laws of the house. It reports and never fails on what it finds.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const require = createRequire(import.meta.url)
const LAW_OF_A_ROOM = /-imports$/
const MIN_TOKENS = 60
/** They resemble each other on purpose, so that each tests the other. */
const MAY_RESEMBLE = ['src/mock/loop', 'src/loop/client']

const rooms = roomsOfLaws()
const folder = mkdtempSync(join(tmpdir(), 'loopfleet-house-'))
try {
  reportDoors()
  reportExports()
  reportDuplicates()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function reportDoors() {
  const { modules } = JSON.parse(
    run('dependency-cruiser', ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json']),
  )
  const imports = modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved }) => ({ from: roomOf(source), to: roomOf(resolved), file: resolved })),
  )
  const past = imports.filter(({ from, to, file }) => to !== undefined && from !== to && file !== `${to}/index.ts`)
  print(
    'Imports from other rooms past the door (index.ts)',
    ['room', 'files', 'imported', 'imports'],
    rooms,
    (room) => {
      const ofRoom = past.filter(({ to }) => to === room)
      const files = modules.filter(({ source }) => roomOf(source) === room)
      return [files.length, new Set(ofRoom.map(({ file }) => file)).size, ofRoom.length]
    },
  )
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

/** The rooms that have a law about what they import, and the two that put everything together. */
function roomsOfLaws() {
  const { forbidden } = require('../.dependency-cruiser.cjs')
  const ofLaws = forbidden.filter(({ name }) => LAW_OF_A_ROOM.test(name)).map(({ from }) => from.path.slice(1, -1))
  return [...new Set([...ofLaws, 'src/config', 'src/cli'])].sort()
}

function roomOf(file) {
  return rooms.find((room) => file.startsWith(`${room}/`))
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
  const entry = typeof bin === 'string' ? bin : (bin[name] ?? bin.depcruise)
  const script = join(root, 'node_modules', name, entry)
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (status === 0) return stdout
  throw new Error(`${name} ended with code ${status}: ${stderr || stdout.slice(-2000)}`)
}
