// Runs compiled tests in lanes side by side: each is one mocha process after the other, and takes the next suite when it is
// free. About half of what tests of whole fleets do is waiting for other processes, so others fit in between. Ends with
// what failed, the slowest suites, and one line of figures. Nothing is tried a second time.
//   node scripts/run-suites.mjs [--fast]
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { longest } from './longest-suites.mjs'
import { isNotFast, isSlow } from './slow-suites.mjs'

/** On two cores. What waits and what computes is about the same, so five lanes keep both cores busy for nine tenths of the time. */
const LANES = 5
/** So many files are one suite: fewer in rooms whose files start processes of their own. */
const FILES_OF_A_SUITE = 12
const FILES_OF_A_LONG_SUITE = 3
const LONG = ['end-to-end', 'contract', 'cli']
const SHOWN = 10
const tests = 'dist/test'
const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
const reporter = fileURLToPath(new URL('./suite-reporter.cjs', import.meta.url))
const isFast = process.argv.includes('--fast')

const rooms = readdirSync(tests, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
const suites = plan()

const started = performance.now()
const results = []
const folder = mkdtempSync(join(tmpdir(), 'loopfleet-suites-'))
try {
  await Promise.all(Array.from({ length: LANES }, lane))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
report()

/** The longest first, so that no lane is left alone with one at the end; then the others of each room in packs. */
function plan() {
  const alone = longest.map((name) => `${tests}/${name}.test.js`)
  const missing = alone.find((file) => !existsSync(file))
  if (missing !== undefined) throw new Error(`longest-suites.mjs names ${missing}, which is not there.`)
  const packs = rooms.flatMap((room) => {
    const rest = filesOf(room).filter((file) => !alone.includes(file))
    return inPacks(rest, LONG.includes(room) ? FILES_OF_A_LONG_SUITE : FILES_OF_A_SUITE)
  })
  return [...alone.filter(isPart).map((file) => [file]), ...packs]
}

function filesOf(room) {
  return readdirSync(join(tests, room), { recursive: true })
    .map((file) => `${tests}/${room}/${file}`)
    .filter((file) => file.endsWith('.test.js') && isPart(file))
    .sort()
}

function isPart(file) {
  return !isSlow(file) && !(isFast && isNotFast(file))
}

function inPacks(files, size) {
  return Array.from({ length: Math.ceil(files.length / size) }, (_, index) =>
    files.slice(index * size, (index + 1) * size),
  )
}

async function lane() {
  for (let files = suites.shift(); files !== undefined; files = suites.shift()) results.push(await run(files))
}

/** Its output is held back until it ends, so that those of the lanes do not mix. */
function run(files) {
  const resultFile = join(folder, `${results.length}-${Math.random()}.json`)
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [mocha, '--reporter', reporter, ...files], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, SUITE_RESULT: resultFile },
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    child.on('close', (code, signal) => {
      process.stdout.write(text)
      resolve({ files, code, signal, ...readResult(resultFile) })
    })
  })
}

function readResult(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { passes: 0, pending: 0, failures: [], suites: [] } // it ended before it could write: its code says so
  }
}

function report() {
  const all = (key) => results.flatMap((result) => result[key])
  const sum = (key) => results.reduce((total, result) => total + result[key], 0)
  const failures = all('failures')
  const broken = results.filter(({ code, failures: known }) => code !== 0 && known.length === 0)
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`

  process.stdout.write('\nThe slowest suites\n')
  for (const { file, title, ms } of all('suites')
    .sort((one, other) => other.ms - one.ms)
    .slice(0, SHOWN)) {
    process.stdout.write(`  ${seconds(ms).padStart(8)}  ${relative(process.cwd(), file)} (${title})\n`)
  }
  for (const { title, error } of failures) process.stdout.write(`\n  failed: ${title}\n      ${error}\n`)
  for (const { files, code, signal } of broken) {
    process.stdout.write(`\n  ended with ${signal ?? `code ${code}`} before its tests were over: ${files.join(' ')}\n`)
  }
  process.stdout.write(
    `\n${sum('passes')} passed, ${failures.length} failed, ${sum('pending')} skipped in ${seconds(performance.now() - started)}\n`,
  )
  process.exitCode = failures.length === 0 && broken.length === 0 ? 0 : 1
}
