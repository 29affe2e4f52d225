// Runs compiled tests in lanes side by side: each is one mocha process after the other, and takes the next suite when it is
// free. Most of what tests of whole fleets do is waiting for other processes, so others fit in between. Ends with what
// failed, the slowest suites, and one line of figures. Nothing is tried a second time, but with --again: then files that
// failed run once more, alone, and what failed only beside others is printed and does not count.
//   node scripts/run-suites.mjs [--fast] [--again]
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { isSlow, startsFleets } from './slow-suites.mjs'

const LANES = 3
/** Rooms whose files start processes of their own: a suite per file. Of the others the room is one suite. */
const LONG = ['end-to-end', 'contract', 'cli']
const SHOWN = 10
const tests = 'dist/test'
const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
const reporter = fileURLToPath(new URL('./suite-reporter.cjs', import.meta.url))
const isFast = process.argv.includes('--fast')
const runsAgain = process.argv.includes('--again')

const rooms = readdirSync(tests, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
const long = isFast ? [] : LONG.flatMap((name) => filesOf(name).map((file) => [file]))
const quick = rooms
  .filter((name) => !LONG.includes(name))
  .map(filesOf)
  .filter((files) => files.length > 0)

const started = performance.now()
const results = []
const folder = mkdtempSync(join(tmpdir(), 'loopfleet-suites-'))
try {
  // One lane begins with the quick rooms, which compute; the others wait meanwhile.
  const takeLong = () => long.shift() ?? quick.shift()
  const takeQuick = () => quick.shift() ?? long.shift()
  await Promise.all([takeQuick, ...Array(LANES - 1).fill(takeLong)].map(walk))
  if (runsAgain) await runFailedAgain()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
report()

function filesOf(room) {
  return readdirSync(join(tests, room), { recursive: true })
    .map((file) => `${tests}/${room}/${file}`)
    .filter((file) => file.endsWith('.test.js') && !isSlow(file) && !(isFast && startsFleets(file)))
    .sort()
}

async function walk(take) {
  for (let files = take(); files !== undefined; files = take()) results.push(await run(files))
}

/** What fails alone, too, counts; a result in its place keeps what failed beside others to be printed. */
async function runFailedAgain() {
  for (const [index, first] of results.entries()) {
    if (first.code === 0) continue
    const files = new Set(first.failures.map(({ file }) => file))
    const isKnown = files.size > 0 && !files.has(null)
    const second = await run(isKnown ? [...files] : first.files)
    if (second.code === 0) results[index] = { ...first, code: 0, failures: [], besideOthers: first.failures }
  }
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
      resolve({ files, code, signal, besideOthers: [], ...readResult(resultFile) })
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
  for (const { title, error } of all('besideOthers')) {
    process.stdout.write(`\n  failed beside others, passed alone: ${title}\n      ${error}\n`)
  }
  for (const { title, error } of failures) process.stdout.write(`\n  failed: ${title}\n      ${error}\n`)
  for (const { files, code, signal } of broken) {
    process.stdout.write(`\n  ended with ${signal ?? `code ${code}`} before its tests were over: ${files.join(' ')}\n`)
  }
  process.stdout.write(
    `\n${sum('passes')} passed, ${failures.length} failed, ${all('besideOthers').length} only beside others, ${sum('pending')} skipped in ${seconds(performance.now() - started)}\n`,
  )
  process.exitCode = failures.length === 0 && broken.length === 0 ? 0 : 1
}
