// `npm test [-- FILE…]`: set-up, then lint, the laws of import and of the house, unused code, and all tests but the slow suites, or the given files; the
// first failure ends it. `--fast` leaves out what scripts/slow-suites.mjs names, and what only those tests need. `--busy` runs
// the tests beside six processes that compute.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { root, setUp } from './setup.mjs'

const BUSY_PROCESSES = 6
const args = process.argv.slice(2)
const files = args.filter((arg) => !arg.startsWith('--'))
const isFast = args.includes('--fast')
const setUpStarted = performance.now()

const more = isFast ? [] : ['curl', 'chromium', 'python']
setUp(['packages', 'redis', ...more, 'build', 'pythons'])
const started = performance.now()
const bin = (name, entry) => join(root, 'node_modules', name, entry ?? binOf(name))

step('lint', [bin('@biomejs/biome'), 'check', '.'])
step('laws of import', [
  bin('dependency-cruiser', 'bin/dependency-cruise.mjs'),
  'src',
  '--config',
  '.dependency-cruiser.cjs',
])
step('laws of the house', [join(root, 'scripts/house.mjs')])
step('unused code', [bin('knip'), '--production', '--include', 'exports,types,files,dependencies'])
const busy = args.includes('--busy') ? Array.from({ length: BUSY_PROCESSES }, keepBusy) : []
const suites = [join(root, 'scripts/run-suites.mjs'), ...args.filter((arg) => arg === '--fast')]
step('tests', files.length > 0 ? [bin('mocha'), ...files] : suites)
for (const child of busy) child.kill()
process.stdout.write(`\nall green in ${seconds(started)} s, after ${seconds(setUpStarted, started)} s of set-up\n`)

function step(name, [script, ...rest]) {
  process.stdout.write(`\n== ${name}\n`)
  const result = spawnSync(process.execPath, [script, ...rest], { stdio: 'inherit', cwd: root })
  if (result.status === 0) return
  for (const child of busy) child.kill()
  process.stderr.write(`\n${name}: failed\n`)
  process.exit(1)
}

/** A process that computes for as long as this one is there. */
function keepBusy() {
  const endless =
    "process.stdin.resume().on('end', () => process.exit()); setInterval(() => { for (let n = 0; n < 1e8; n += 1); }, 0)"
  return spawn(process.execPath, ['-e', endless], { stdio: ['pipe', 'ignore', 'ignore'] })
}

function seconds(from, to = performance.now()) {
  return Math.round((to - from) / 1000)
}

function binOf(name) {
  const { bin: entry } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return typeof entry === 'string' ? entry : Object.values(entry)[0]
}
