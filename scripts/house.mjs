// `npm run house [-- FOLDER]`: the laws of the house about copies, sizes, exports for tests and words. FOLDER is another checkout.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { linesOfFunctions } from './function-lines.mjs'

const project = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = process.argv[2] ?? project
const { roomOf } = createRequire(import.meta.url)('./rooms.cjs')
const MIN_TOKENS = 60
const MAX_FILE_LINES = 400
const MAX_FUNCTION_LINES = 80
/** Two of them have two meanings, the others are not known to every reader; what to write instead. */
const PLAIN = {
  'at once': '"immediately" or "at the same time"',
  anew: '"again"',
  'for ever': '"indefinitely"',
  thrice: '"three times"',
  thereby: 'nothing',
  whoever: 'the client, the caller …',
}
/** They resemble each other on purpose, so that each tests the other. */
const MAY_RESEMBLE = ['src/mock/loop', 'src/loop/client']

const broken = [...duplicates(), ...tooLong(), ...withoutReason(), ...notPlain()]
for (const line of broken) process.stderr.write(`${line}\n`)
process.stdout.write(`${broken.length} laws of the house are broken\n`)
process.exitCode = broken.length === 0 ? 0 : 1

/** Blocks that stand in two rooms. What both need belongs into a room that both may import. */
function duplicates() {
  const folder = mkdtempSync(join(tmpdir(), 'loopfleet-house-'))
  try {
    return duplicatesIn(withoutImports(join(folder, 'house')), join(folder, 'report'))
      .filter(({ sides: [a, b] }) => roomOf(a.file) !== roomOf(b.file))
      .filter(({ sides }) => !MAY_RESEMBLE.every((room) => sides.some(({ file }) => roomOf(file) === room)))
      .map(({ sides: [a, b], tokens }) => `${a.file}:${a.line} and ${b.file}:${b.line} share ${tokens} tokens`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A copy of src. Imports are alike wherever the same things are used; their lines stay, so that places are right. */
function withoutImports(copy) {
  cpSync(join(root, 'src'), join(copy, 'src'), { recursive: true })
  for (const file of filesBelow(copy)) {
    const text = readFileSync(file, 'utf8')
    const imports = /^(?:import|export)\b[^;'"()=]*?from '[^']*'$|^import '[^']*'$/gm
    writeFileSync(
      file,
      text.replace(imports, (match) => match.replace(/[^\n]/g, '')),
    )
  }
  return copy
}

function duplicatesIn(copy, report) {
  const size = ['--min-tokens', String(MIN_TOKENS), '--min-lines', '1']
  run('jscpd', [...size, '--format', 'typescript', '--reporters', 'json', '--output', report, '.'], copy)
  const { duplicates: found } = JSON.parse(readFileSync(join(report, 'jscpd-report.json'), 'utf8'))
  const sideOf = ({ name, startLoc }) => ({ file: name, line: startLoc.line })
  return found.map(({ firstFile, secondFile, tokens }) => ({
    sides: [sideOf(firstFile), sideOf(secondFile)],
    tokens,
  }))
}

/** Files and functions that hold more than one idea. */
function tooLong() {
  const folders = ['src', 'test'].map((name) => join(root, name)).filter((folder) => existsSync(folder))
  return folders
    .flatMap((folder) => filesBelow(folder))
    .flatMap((path) => {
      const file = relative(root, path)
      const text = readFileSync(path, 'utf8')
      const lines = text.split('\n').length - 1
      const functions = file.startsWith('src/') ? linesOfFunctions(text) : []
      const long = functions.filter((one) => one.lines > MAX_FUNCTION_LINES)
      return [
        ...(lines > MAX_FILE_LINES ? [`${file} has ${lines} lines, of at most ${MAX_FILE_LINES}`] : []),
        ...long.map(
          (one) => `${file}:${one.from} is a function of ${one.lines} lines, of at most ${MAX_FUNCTION_LINES}`,
        ),
      ]
    })
}

/** Exports for tests alone say why a test needs them: `@internal since …` or `@internal for …`. */
function withoutReason() {
  return filesBelow(join(root, 'src')).flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const isBare = line.includes('@internal') && !/@internal (since|for) \w+ \w+/.test(line)
        return isBare ? [`${relative(root, path)}:${index + 1} has an @internal without a reason`] : []
      }),
  )
}

/** Words that readers from other countries read twice, in code and pages. */
function notPlain() {
  const words = new RegExp(`\\b(${Object.keys(PLAIN).join('|')})\\b`, 'gi')
  const pages = ['README.md', 'CONTRIBUTING.md'].map((name) => join(root, name))
  const folders = ['src', 'test', 'docs'].map((name) => join(root, name))
  const files = folders.filter((folder) => existsSync(folder)).flatMap((folder) => filesBelow(folder, ['.ts', '.md']))
  return [...files, ...pages.filter((page) => existsSync(page))].flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, index) =>
        [...line.matchAll(words)].map(
          ([word]) => `${relative(root, path)}:${index + 1} says "${word}"; write ${PLAIN[word.toLowerCase()]} instead`,
        ),
      ),
  )
}

function filesBelow(path, endings = ['.ts']) {
  return readdirSync(path)
    .map((name) => join(path, name))
    .flatMap((each) => {
      if (statSync(each).isDirectory()) return filesBelow(each, endings)
      return endings.some((ending) => each.endsWith(ending)) ? [each] : []
    })
}

/** What a tool finds is no failure; that it gives no answer is one. */
function run(name, args, cwd) {
  const folder = join(project, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const script = join(folder, typeof bin === 'string' ? bin : bin[name])
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name} ended with code ${status}: ${stderr || stdout.slice(-2000)}`)
}
